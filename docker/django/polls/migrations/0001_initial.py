import django.db.models.deletion
from django.db import migrations, models


def first_question(apps, schema_editor):
    question = apps.get_model("polls", "Question").objects.create(text="Which way across?")
    choices = apps.get_model("polls", "Choice").objects
    for text in ["Causeway", "Bridge", "Ferry"]:
        choices.create(question=question, text=text)


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Question",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False, auto_created=True, verbose_name="ID")),
                ("text", models.CharField(max_length=200)),
                ("asked", models.DateTimeField(auto_now_add=True)),
            ],
            options={"ordering": ["-asked", "-pk"]},
        ),
        migrations.CreateModel(
            name="Choice",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False, auto_created=True, verbose_name="ID")),
                ("text", models.CharField(max_length=200)),
                ("votes", models.PositiveIntegerField(default=0)),
                (
                    "question",
                    models.ForeignKey(
                        to="polls.question", on_delete=django.db.models.deletion.CASCADE, related_name="choices"
                    ),
                ),
            ],
            options={"ordering": ["pk"]},
        ),
        migrations.CreateModel(
            name="Paper",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False, auto_created=True, verbose_name="ID")),
                ("title", models.CharField(max_length=200)),
                ("file", models.FileField(upload_to="papers/")),
                ("sent", models.DateTimeField(auto_now_add=True)),
            ],
            options={"ordering": ["-sent", "-pk"]},
        ),
        migrations.RunPython(first_question, migrations.RunPython.noop),
    ]
