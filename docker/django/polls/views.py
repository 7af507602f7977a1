from os.path import basename
from urllib.parse import quote

from django import forms
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.signing import BadSignature, TimestampSigner
from django.db.models import F
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from .models import Choice, Paper, Question

LINK_SECONDS = 3600
links = TimestampSigner(salt="polls.paper")


class VoteForm(forms.Form):
    choice = forms.ModelChoiceField(Choice.objects.none(), empty_label=None, widget=forms.RadioSelect)

    def __init__(self, question, *args):
        super().__init__(*args)
        self.fields["choice"].queryset = question.choices.all()


class PaperForm(forms.ModelForm):
    class Meta:
        model = Paper
        fields = ["title", "file"]


def healthz(request):
    """Fails until the tables are there: Causeway sends no traffic before."""
    Question.objects.exists()
    return HttpResponse("ok", content_type="text/plain")


def index(request):
    return render(request, "polls/index.html", {"questions": Question.objects.all()[:20]})


def question(request, pk):
    found = get_object_or_404(Question, pk=pk)
    form = VoteForm(found, request.POST or None)
    if form.is_valid():
        Choice.objects.filter(pk=form.cleaned_data["choice"].pk).update(votes=F("votes") + 1)
        return redirect("polls:question", pk)
    return render(request, "polls/question.html", {"question": found, "form": form})


def papers(request):
    form = PaperForm(request.POST or None, request.FILES or None)
    if form.is_valid():
        sent = form.save()
        return render(request, "polls/sent.html", {"paper": sent, "token": links.sign(str(sent.pk))}, status=201)
    return render(request, "polls/papers.html", {"form": form}, status=400 if form.is_bound else 200)


def paper(request, pk):
    """Decides who may read a file; Causeway sends it."""
    if not (request.user.is_authenticated or has_link(request, pk)):
        return redirect_to_login(request.get_full_path())
    found = get_object_or_404(Paper, pk=pk)
    response = HttpResponse(content_type="application/octet-stream")
    response["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(basename(found.file.name))}"
    response["X-Accel-Redirect"] = settings.PROTECTED_URL + quote(found.file.name)
    return response


def has_link(request, pk):
    try:
        return links.unsign(request.GET.get("token", ""), max_age=LINK_SECONDS) == str(pk)
    except BadSignature:
        return False
