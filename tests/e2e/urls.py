"""What the web process of these tests answers: POST /call triggers and cancels."""

import json
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from jobs_platform import runs, tasks


def trigger(task: str, payload: Any = None, **options: Any) -> str:
    return tasks.trigger(task, payload, **options).id


def batch_trigger(task: str, payloads: list[Any], **options: Any) -> list[str]:
    return [handle.id for handle in tasks.batch_trigger(task, payloads, **options).runs]


def cancel(run: str) -> bool:
    return runs.cancel(run)


CALLS = {function.__name__: function for function in (trigger, batch_trigger, cancel)}


@csrf_exempt
def call(request: HttpRequest) -> JsonResponse:
    asked = json.loads(request.body)
    return JsonResponse({"result": CALLS[asked.pop("call")](**asked)})


urlpatterns = [path("call", call)]
