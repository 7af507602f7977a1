/** The README and the pages of docs/ that are written for users. */
export const USER_PAGES: readonly string[] = [
  'README.md',
  'docs/install.md',
  'docs/django.md',
  'docs/tls.md',
  'docs/from-nginx.md',
  'docs/operations.md',
  'docs/log.md',
  'docs/benchmarks.md',
]
