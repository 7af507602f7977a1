/** Sockets that one thread accepts on, where clients may be many. */
const SOCKETS = 8
/**
 * Where there can be no more, turns of the event loop are short, and descriptors too few to listen with them.
 */
const MANY_CLIENTS = 1000

/**
 * How many sockets (SO_REUSEPORT) each thread accepts on at one address. In a turn of the event loop libuv
 * accepts one connection of each, so behind thousands of busy clients, whose turns take long, a newcomer
 * waits for as many turns as others came before it.
 */
export function acceptSockets(mostClients: number): number {
  return mostClients < MANY_CLIENTS ? 1 : SOCKETS
}
