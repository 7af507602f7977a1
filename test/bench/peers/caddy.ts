import { join } from 'node:path'
import type { Peer, Place } from '../peer.ts'

const config = (place: Place) => `{
	admin off
	auto_https off
	servers {
		metrics
		protocols h1 h2
	}
}
${place.tls === undefined ? 'http' : 'https'}://127.0.0.1:${place.port} {
	${place.tls === undefined ? '' : `tls ${place.tls.certificateFile} ${place.tls.keyFile}`}
	log {
		output file ${place.accessLog} {
			roll_disabled
		}
		format json
	}
	handle_path /static/* {
		root * ${place.staticRoot}
		file_server
	}
	handle {
		reverse_proxy ${place.upstreamPorts.map(port => `127.0.0.1:${port}`).join(' ')} {
			lb_policy random_choose 2
			header_up X-Request-Id {http.request.uuid}
			transport http {
				compression off
				keepalive_idle_conns_per_host ${place.upstreamIdle}
			}
		}
	}
}
`

/** Caddy on one processor, with its HTTP metrics on. */
export const caddy: Peer = {
  name: 'caddy',
  needs: 'caddy',
  servesFiles: true,
  launch: place => ({
    command: ['caddy', 'run', '--adapter', 'caddyfile', '--config', join(place.folder, 'Caddyfile')],
    env: { GOMAXPROCS: '1', HOME: place.folder, XDG_DATA_HOME: place.folder, XDG_CONFIG_HOME: place.folder },
    files: { Caddyfile: config(place) },
  }),
}
