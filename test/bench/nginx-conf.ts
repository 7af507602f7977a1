/** What both nginx configurations of the benchmark start with: one worker, nothing outside `folder`. */
export function nginxFrame(folder: string, http: string): string {
  const user = process.getuid?.() === 0 ? 'user root;' : ''
  return `
${user}
worker_processes 1;
worker_rlimit_nofile 20000;
daemon off;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log warn;
events { worker_connections 19000; }
http {
  default_type text/html;
  types { text/css css; }
  client_body_temp_path ${folder}/tmp-body;
  proxy_temp_path ${folder}/tmp-proxy;
  fastcgi_temp_path ${folder}/tmp-fastcgi;
  uwsgi_temp_path ${folder}/tmp-uwsgi;
  scgi_temp_path ${folder}/tmp-scgi;
  keepalive_requests 1000000000;
${http}
}
`
}
