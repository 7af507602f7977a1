import { join } from 'node:path'
import type { Peer, Place } from '../peer.ts'

/** How it speaks to the app: what stands in front of each address, and lines of the transport. */
interface ToApp {
  readonly scheme: string
  readonly transport: string
}

const config = (place: Place, { scheme, transport }: ToApp) => `{
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
		reverse_proxy ${place.upstreamPorts.map(port => `${scheme}127.0.0.1:${port}`).join(' ')} {
			lb_policy random_choose 2
			header_up X-Request-Id {http.request.uuid}
			transport http {
				compression off
				keepalive_idle_conns_per_host ${place.upstreamIdle}
				${transport}
			}
		}
	}
}
`

/** Caddy on one processor, with its HTTP metrics on. */
export const caddy = caddyTo({ scheme: '', transport: '' })

/** The same before an app that speaks HTTP/2 over TLS; its certificate is not looked at. */
export const caddyToHttp2 = caddyTo({
  scheme: 'https://',
  transport: 'tls_insecure_skip_verify\n\t\t\t\tversions 2',
})

function caddyTo(toApp: ToApp): Peer {
  return {
    name: 'caddy',
    needs: 'caddy',
    servesFiles: true,
    launch: place => ({
      command: ['caddy', 'run', '--adapter', 'caddyfile', '--config', join(place.folder, 'Caddyfile')],
      env: {
        GOMAXPROCS: '1',
        HOME: place.folder,
        XDG_DATA_HOME: place.folder,
        XDG_CONFIG_HOME: place.folder,
      },
      files: { Caddyfile: config(place, toApp) },
    }),
  }
}
