/** How Django gets to know that a client came over https. */
export const PROXY_SSL_HEADER = 'Django: SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")'
