from django.db import models


class Question(models.Model):
    text = models.CharField(max_length=200)
    asked = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-asked", "-pk"]

    def __str__(self):
        return self.text


class Choice(models.Model):
    question = models.ForeignKey(Question, on_delete=models.CASCADE, related_name="choices")
    text = models.CharField(max_length=200)
    votes = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["pk"]

    def __str__(self):
        return self.text


class Paper(models.Model):
    """An uploaded file. Its name on disk is Django's, the name that its sender gave it is only shown."""

    title = models.CharField(max_length=200)
    file = models.FileField(upload_to="papers/")
    sent = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-sent", "-pk"]

    def __str__(self):
        return self.title
