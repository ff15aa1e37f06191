"""Declaring tasks: what is taken, what is refused at import, and with which words."""

from __future__ import annotations

import asyncio
import functools
from dataclasses import dataclass
from typing import Any, TypedDict

import pytest
from pydantic import BaseModel, Field

from jobs_platform import (
    Context,
    DuplicateTaskError,
    InvalidTaskError,
    Queue,
    Retry,
    ctx,
    locals,  # noqa: A004 - the public name
    task,
)
from jobs_platform.domain.errors import HookError, PayloadValidationError
from jobs_platform.sdk.declaration import slug
from jobs_platform.sdk.registry import registry

pytestmark = pytest.mark.usefixtures("fresh_process")


class Welcome(BaseModel):
    to: str
    copies: int = 1


@dataclass
class Point:
    x: int


class Named(TypedDict):
    name: str


def test_the_id_is_the_functions_name_in_kebab_case() -> None:
    @task
    def send_welcome_email() -> None: ...

    @task()
    def sendHTTPRequest() -> None: ...  # noqa: N802 - the case that is converted

    assert send_welcome_email.id == "send-welcome-email"
    assert sendHTTPRequest.id == "send-httprequest"
    assert [known.id for known in registry] == ["send-httprequest", "send-welcome-email"]


@pytest.mark.parametrize("good", ["a", "a-b_c.d/e", "9-lives", "a" * 128])
def test_an_id_may_have_these_letters(good: str) -> None:
    assert task(id=good)(lambda: None).id == good


@pytest.mark.parametrize(
    ("bad", "suggestion"),
    [
        ("Send Welcome!", 'Use "send-welcome".'),
        ("sendWelcome", 'Use "send-welcome".'),
        ("-start", 'Use "start".'),
        ("ünï", 'Use "n".'),
        ("", 'Name it with @task(id="…").'),
        (5, 'Name it with @task(id="…").'),
        ("a" * 129, "Use"),
    ],
)
def test_a_bad_id_is_refused_with_a_slug(bad: Any, suggestion: str) -> None:
    with pytest.raises(InvalidTaskError, match=r"test_task\.py:") as caught:
        task(id=bad)(lambda: None)
    assert suggestion in str(caught.value)


def test_a_lambda_needs_an_id() -> None:
    assert slug("<lambda>") == "lambda"
    assert task(lambda: None).id == "lambda"


def test_two_tasks_of_one_id_name_both_places() -> None:
    @task(id="twin")
    def first() -> None: ...

    with pytest.raises(DuplicateTaskError) as caught:

        @task(id="twin")
        def second() -> None: ...

    text = str(caught.value)
    assert "first)" in text
    assert "second)" in text
    assert text.count("test_task.py:") == 2
    assert registry.get("twin") is first


def test_the_same_module_imported_again_is_no_clash(fresh_process: Any) -> None:
    source = "from jobs_platform import task\n@task\ndef again():\n    pass\n"
    file = fresh_process / "again_module.py"
    file.write_text(source)
    code = compile(source, str(file), "exec")
    exec(code, {"__name__": "one"})
    first = registry.get("again")
    exec(code, {"__name__": "two"})
    assert registry.get("again") is not first


def _no_arguments() -> str:
    return "none"


def _payload(payload: Any) -> Any:
    return payload


def _context_only(ctx: Context) -> str:
    return ctx.task.id


def _annotated_context(run_context: Context) -> str:
    return run_context.task.id


def _both(payload: Any, ctx: Context) -> Any:
    return payload, ctx.task.id


def _keyword_context(payload: Any, *, ctx: Context) -> Any:
    return payload, ctx.task.id


def _only_keyword_context(*, context: Context) -> str:
    return context.task.id


def _default_payload(order: Any = None) -> Any:
    return order


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (_no_arguments, "none"),
        (_payload, {"a": [1]}),
        (_context_only, "t"),
        (_annotated_context, "t"),
        (_both, ({"a": [1]}, "t")),
        (_keyword_context, ({"a": [1]}, "t")),
        (_only_keyword_context, "t"),
        (_default_payload, {"a": [1]}),
    ],
)
def test_every_allowed_signature_is_called_as_it_wants(function: Any, expected: Any) -> None:
    assert task(id="t")(function).local({"a": (1,)}) == expected


def _three(payload: Any, ctx: Any, more: Any) -> None: ...
def _reversed(ctx: Any, payload: Any) -> None: ...
def _star(*args: Any) -> None: ...
def _star_keywords(**kwargs: Any) -> None: ...
def _keyword_payload(*, payload: Any) -> None: ...
def _two_contexts(ctx: Any, context: Any) -> None: ...
def _generator(payload: Any) -> Any:
    yield payload


async def _async_generator(payload: Any) -> Any:
    yield payload


@pytest.mark.parametrize(
    "function",
    [_three, _reversed, _star, _star_keywords, _keyword_payload, _two_contexts],
)
def test_another_signature_is_refused_with_those_that_are_allowed(function: Any) -> None:
    with pytest.raises(InvalidTaskError, match=r"f\(payload, ctx\)") as caught:
        task(id="t")(function)
    assert "has no meaning" in str(caught.value)


@pytest.mark.parametrize("function", [_generator, _async_generator])
def test_a_generator_is_refused(function: Any) -> None:
    with pytest.raises(InvalidTaskError, match="it is a generator"):
        task(id="t")(function)


def test_a_class_is_refused() -> None:
    with pytest.raises(InvalidTaskError, match="decorates functions, not classes"):
        task(id="t")(Welcome)


def test_a_decorated_function_keeps_its_signature() -> None:
    def twice(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any) -> Any:
            return [function(*args), function(*args)]

        return wrapper

    @task
    @twice
    def wrapped(payload: Welcome) -> str:
        return payload.to

    assert wrapped.local({"to": "a"}) == ["a", "a"]


def test_an_annotation_nobody_knows_is_refused() -> None:
    def broken(payload: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(InvalidTaskError, match="annotation 'Missing' of payload"):
        task(broken)


def test_a_type_that_pydantic_does_not_understand_is_refused() -> None:
    class Opaque:
        pass

    def takes_opaque(payload: Opaque) -> None: ...

    with pytest.raises(InvalidTaskError, match="cannot be validated"):
        task(takes_opaque)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"quue": "a"}, 'Did you mean "queue"'),
        ({"on_event": "a"}, "on_event is not available yet"),
        ({"retry": 3}, "not a Retry"),
        ({"queue": "no spaces"}, "1 to 128 letters"),
        ({"queue": 5}, "1 to 128 letters"),
        ({"machine": "large"}, 'Did you mean "large-'),
        ({"max_duration": "1 hour"}, "max_duration '1 hour'"),
        ({"max_duration": 0.5}, "less than 1s"),
        ({"ttl": -1}, "ttl -1 is less than zero"),
        ({"name": ""}, "name is '', not text"),
        ({"version": 5}, "version is 5, not text"),
    ],
)
def test_a_bad_option_is_refused_with_task_and_place(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidTaskError, match=r"Task 't' at .*test_task\.py:") as caught:
        task(id="t", **options)(_no_arguments)
    assert words in str(caught.value)


def test_a_hook_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(HookError, match="on_success hook of task 't' is called with 3 arguments"):
        task(id="t", on_success=lambda payload: None)(_no_arguments)


def test_options_are_kept_and_described() -> None:
    emails = Queue("emails", concurrency_limit=50, key_concurrency_limit=1)

    @task(
        id="mail",
        queue=emails,
        retry=Retry(max_attempts=5, min_timeout="500ms"),
        max_duration="5m",
        ttl="10m",
        machine="small-1x",
        name="Mail",
        version="2",
    )
    def mail(payload: Welcome) -> None:
        """Sends a mail."""

    described = mail.definition()
    assert mail.defaults.max_attempts == 5
    assert mail.retry is not None
    assert mail.retry.min_timeout_seconds == 0.5
    wanted = {
        "id": "mail",
        "name": "Mail",
        "description": "Sends a mail.",
        "version": "2",
        "queue": "emails",
        "concurrency_limit": 50,
        "key_concurrency_limit": 1,
        "machine": "small-1x",
        "max_attempts": 5,
        "max_duration_seconds": 300.0,
        "ttl_seconds": 600.0,
        "cron": None,
    }
    assert {key: described[key] for key in wanted} == wanted
    assert described["payload_schema"]["required"] == ["to"]
    assert _no_arguments() == task(id="plain")(_no_arguments)()
    assert registry.find("plain").defaults.queue == "task/plain"


@pytest.mark.parametrize(
    ("annotation", "good", "seen", "bad"),
    [
        (Welcome, {"to": "a"}, Welcome(to="a"), {"to": 5}),
        (Welcome, Welcome(to="b", copies=2), Welcome(to="b", copies=2), {}),
        (Point, {"x": 1}, Point(1), {"x": "one"}),
        (Point, Point(2), Point(2), None),
        (Named, {"name": "a"}, {"name": "a"}, {"nom": "a"}),
        (list[Named] | None, [{"name": "a"}], [{"name": "a"}], [{}]),
        (list[int], (1, 2), [1, 2], ["x"]),
        (int | None, None, None, "x"),
    ],
)
def test_a_payload_is_validated_on_both_sides(
    annotation: Any, good: Any, seen: Any, bad: Any
) -> None:
    def function(payload: Any) -> None: ...

    function.__annotations__["payload"] = annotation
    made = task(id="t")(function)
    assert made.load_payload(made.dump_payload(good)) == seen
    with pytest.raises(PayloadValidationError, match="does not fit"):
        made.dump_payload(bad)
    with pytest.raises(PayloadValidationError):
        made.load_payload('{"nothing": "of this"}')


def test_schema_stands_in_for_an_annotation_and_errors_have_paths() -> None:
    @task(schema=list[Welcome])
    def many(payload: Any) -> None: ...

    with pytest.raises(PayloadValidationError) as caught:
        many.dump_payload([{"to": "a"}, {"to": "b", "copies": "x"}])
    assert caught.value.problems[0].startswith("payload[1].copies: Input should be a valid integer")


def test_aliases_and_names_are_both_understood_at_the_start() -> None:
    from_alias = task(id="t", schema=_aliased())(_payload)
    given = from_alias.load_payload('{"postCode": "1"}')
    assert from_alias.load_payload(from_alias.dump_payload(given)) == given


def _aliased() -> Any:
    class Aliased(BaseModel):
        post_code: str = Field(alias="postCode")

    return Aliased


def test_a_model_as_return_annotation_checks_and_serialises_the_output() -> None:
    @task
    def ok() -> Welcome: ...  # type: ignore[empty-body]

    assert ok.dump_output({"to": "a"}) == '{"to":"a","copies":1}'
    with pytest.raises(Exception, match=r"output.copies: Input should be a valid integer"):
        ok.dump_output({"to": "a", "copies": "many"})


def test_a_plain_return_annotation_checks_nothing() -> None:
    @task
    def loose() -> dict[str, int]: ...  # type: ignore[empty-body]

    assert loose.dump_output([1]) == "[1]"


def test_local_gives_context_and_locals_and_stores_nothing() -> None:
    @task
    def look(payload: Any) -> Any:
        locals.set("seen", payload)
        return locals.get("seen"), ctx.attempt.number, ctx.environment.slug

    assert look.local("x") == ("x", 1, "dev")
    assert repr(ctx) == "<ctx outside a run>"


def test_local_of_an_async_task_is_awaited() -> None:
    @task
    async def later(payload: Welcome, ctx: Context) -> Any:
        await asyncio.sleep(0)
        return payload.to, ctx.task.id

    assert asyncio.run(later.local({"to": "a"})) == ("a", "later")


def test_a_class_from_inside_a_function_can_annotate_a_payload() -> None:
    class Inner(BaseModel):
        n: int

    @task
    def takes_inner(payload: Inner) -> int:
        return payload.n

    assert takes_inner.local({"n": "5"}) == 5
