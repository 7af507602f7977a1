from django.contrib import admin

from .models import Choice, Paper, Question


class Choices(admin.TabularInline):
    model = Choice
    extra = 1


@admin.register(Question)
class QuestionAdmin(admin.ModelAdmin):
    inlines = [Choices]


admin.site.register(Paper)
