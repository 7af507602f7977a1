import { join } from 'node:path'
import { nginxFrame } from '../nginx-conf.ts'
import type { Peer, Place } from '../peer.ts'

const LOG_FORMAT = `
  log_format bench escape=json '{"time":"$time_iso8601","req_id":"$request_id","client_ip":"$remote_addr",'
    '"proto":"$server_protocol","method":"$request_method","host":"$host","path":"$uri","status":$status,'
    '"dur_s":$request_time,"bytes_in":$request_length,"bytes_out":$bytes_sent,"user_agent":"$http_user_agent",'
    '"endpoint":"$upstream_addr","upstream_s":"$upstream_response_time","upstream_status":"$upstream_status"}';`

// Of the protocols, 1.3 is not in the default of nginx 1.22. Tickets are.
const tlsOf = ({ tls }: Place) =>
  tls === undefined
    ? ''
    : `ssl_certificate ${tls.certificateFile};
    ssl_certificate_key ${tls.keyFile};
    ssl_protocols TLSv1.2 TLSv1.3;`

const http = (place: Place, logOptions: string) => `${LOG_FORMAT}
  access_log ${place.accessLog} bench${logOptions};
  sendfile on;
  tcp_nopush on;
  keepalive_timeout 75s;
  open_file_cache max=1000 inactive=60s;
  upstream app {
    zone app 128k;
    random two least_conn;
${place.upstreamPorts.map(port => `    server 127.0.0.1:${port};`).join('\n')}
    keepalive ${place.upstreamIdle};
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${place.port}${place.tls === undefined ? '' : ' ssl http2'} backlog=4096;
    ${tlsOf(place)}
    location = /stub_status { stub_status; access_log off; }
    location /static/ { alias ${place.staticRoot}/; }
    location / {
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Request-Id $request_id;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Port $server_port;
    }
  }`

const peer = (name: string, logOptions: string): Peer => ({
  name,
  needs: 'nginx',
  servesFiles: true,
  launch: place => ({
    command: [
      'nginx',
      '-p',
      place.folder,
      '-e',
      join(place.folder, 'error.log'),
      '-c',
      join(place.folder, 'nginx.conf'),
    ],
    files: { 'nginx.conf': nginxFrame(place.folder, http(place, logOptions)) },
  }),
})

/** nginx with its access log as it is by default: one write a line. */
export const nginx = peer('nginx', '')
/** nginx with a buffered access log, the cheapest that it can be. */
export const nginxBuffered = peer('nginx-buffered', ' buffer=64k flush=1s')
