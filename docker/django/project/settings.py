"""
Settings for Django 3.2 and later, all from the environment:

SECRET_KEY or SECRET_KEY_FILE   the key, or a file that holds it
ALLOWED_HOSTS                   hosts, with commas between them
CSRF_TRUSTED_ORIGINS            origins such as https://www.example.com, with commas between them
HTTPS                           "on": clients come by https, so redirect others and send cookies over https only
HSTS_SECONDS                    how long browsers then insist on https, a year by default
DATABASE                        path of the SQLite file
STATIC_ROOT, MEDIA_ROOT         folders; the front server has them too
"""
import os
from pathlib import Path
from urllib.parse import urlsplit

import django

BASE = Path(__file__).resolve().parent.parent


def listed(name, default=""):
    return [part.strip() for part in os.environ.get(name, default).split(",") if part.strip()]


def secret(name):
    file = os.environ.get(f"{name}_FILE")
    return Path(file).read_text().strip() if file else os.environ[name]


SECRET_KEY = secret("SECRET_KEY")
DEBUG = False
ALLOWED_HOSTS = listed("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = listed("CSRF_TRUSTED_ORIGINS")
if django.VERSION < (4, 0):  # hosts there, origins since
    CSRF_TRUSTED_ORIGINS = [urlsplit(origin).netloc or origin for origin in CSRF_TRUSTED_ORIGINS]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "polls",
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
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DATABASE", str(BASE / "db.sqlite3")),
        "OPTIONS": {"timeout": 20},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [{"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"}]
TIME_ZONE = "UTC"
USE_TZ = True
LOGIN_URL = "admin:login"

# Causeway answers these paths from the folders, and /protected/ only when a view says so.
STATIC_URL = "/static/"
STATIC_ROOT = os.environ.get("STATIC_ROOT", str(BASE / "staticfiles"))
MEDIA_ROOT = os.environ.get("MEDIA_ROOT", str(BASE / "media"))
PROTECTED_URL = "/protected/"
HASHED_NAMES = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
if django.VERSION < (4, 2):
    STATICFILES_STORAGE = HASHED_NAMES
else:
    STORAGES = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": HASHED_NAMES},
    }
# Uploads are read by the front server, which is another process.
FILE_UPLOAD_PERMISSIONS = 0o644

# Causeway sets this field itself and takes it from nobody but its trusted_proxies.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if os.environ.get("HTTPS") == "on":
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
    # Browsers hold a domain to this for that long: begin with a minute where it is not yet sure that https stays.
    SECURE_HSTS_SECONDS = int(os.environ.get("HSTS_SECONDS", "31536000"))
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
