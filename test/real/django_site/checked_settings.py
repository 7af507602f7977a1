"""The same project with Django's admin, and with what `check --deploy` asks for. Each setting can be spoilt by the environment."""
import os

from .settings import *  # noqa: F403


def switch(name, default=True):
    return {"on": True, "off": False}.get(os.environ.get(name, ""), default)


DEBUG = switch("DJANGO_DEBUG", False)
SECRET_KEY = "only for tests, but as long and as colourful as a real one: 0123456789 abcdefghijklm"
ROOT_URLCONF = "django_site.checked_urls"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "APP_DIRS": True,
    "OPTIONS": {"context_processors": [
        "django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]},
}]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "/static/"
STATIC_ROOT = os.environ.get("DJANGO_STATIC_ROOT", "")
STATICFILES_STORAGE = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"

if not switch("DJANGO_PROXY_HEADER"):
    SECURE_PROXY_SSL_HEADER = None
SECURE_SSL_REDIRECT = switch("DJANGO_SSL_REDIRECT")
SECURE_HSTS_SECONDS = 31536000 if switch("DJANGO_HSTS") else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = switch("DJANGO_SECURE_COOKIES")
