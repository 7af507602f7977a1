from django.urls import path

from . import views

urlpatterns = [
    path("", views.page),
    path("healthz", views.healthz),
    path("echo/", views.echo),
    path("form/", views.form),
    path("upload/", views.upload),
    path("files/", views.files),
    path("download/<int:mebibytes>/", views.download),
    path("stream/<str:token>/", views.stream),
    path("signal/<str:token>/", views.signal),
    path("hold/<str:token>/", views.hold),
    path("pid/", views.pid),
    path("drip/<str:token>/", views.drip),
    path("midfail/", views.midfail),
    path("protected/<path:name>", views.protected),
    path("sendfile/<path:name>", views.sendfile),
]
