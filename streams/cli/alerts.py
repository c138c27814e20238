"""cityops subscribe, subscriptions, alerts: who is told of which incidents, and whether it arrived."""

import os
import time
from typing import Final

import click
from rich.table import Table
from rich.text import Text

from schemas.errors import CityopsError, UsageError
from schemas.ids import content_id
from schemas.records import Delivery, DeliveryState, Severity, Subscription
from streams import topics
from streams.cli.options import OneOf
from streams.cli.showing import city_zone, codec_of, folded, json_text, local_time, settings_of, unit_named, whole
from streams.cli.terminal import terminal
from streams.settings import Settings

COLOURS: Final = {
    DeliveryState.DELIVERED: "green",
    DeliveryState.RETRYING: "yellow",
    DeliveryState.GIVEN_UP: "red",
}
RUN = click.option("--run", "run_name", default="", help="Name of an isolated run; without it the live one.")


@click.group()
def subscribe() -> None:
    """Be told of incidents."""


@subscribe.command()
@click.argument("url")
@click.option("--kind", "kinds", multiple=True, help="Only incidents of this kind; may be given several times.")
@click.option("--line", "lines", multiple=True, help="Only those that affect this line; may be given several times.")
@click.option("--unit", "units", multiple=True, help="Only those in this unit (code or name); several times.")
@click.option("--severity", type=OneOf(Severity), default=Severity.MINOR,
              show_default=True, help="Only those at least so severe.")  # fmt: skip
@click.option("--name", default="", help="What you call this subscription.")
@click.option("--allow-private", is_flag=True, help="The receiver is on a private or loopback address.")
@click.option("--no-exercises", is_flag=True, help="Leave exercises out.")
@click.option("--secret-env", default="", help="Variable of the worker that holds the secret, instead of a new one.")
@RUN
@click.option("--json", "as_json", is_flag=True, help="Print the subscription and its secret as JSON.")
def webhook(
    url: str,
    kinds: tuple[str, ...],
    lines: tuple[str, ...],
    units: tuple[str, ...],
    severity: str,
    name: str,
    allow_private: bool,
    no_exercises: bool,
    secret_env: str,
    run_name: str,
    as_json: bool,
) -> None:
    """Have every matching incident posted to a URL, signed (Standard Webhooks); docs/alerts.md tells what arrives.

    \b
    Examples:
      cityops subscribe webhook https://example.org/hook --kind crash --line 09 --severity severe
      cityops subscribe webhook http://127.0.0.1:9000/ --allow-private
    """
    from sinks.webhook import checked_url
    from streams.subscriptions import keep_secret, new_secret, write_subscription

    checked_url(url, allow_private=allow_private)
    settings = settings_of(run_name)
    _check_kinds(settings, kinds)
    unit_codes = _check_places(settings, lines, units)
    now_ms = time.time_ns() // 1_000_000
    subscription_id = content_id("s", url, now_ms)
    secret = "" if secret_env else new_secret()
    reference = f"env:{secret_env}" if secret_env else keep_secret(settings, subscription_id, secret)
    subscription = Subscription(
        created_at_ms=now_ms,
        allow_private=allow_private,
        exercises=not no_exercises,
        min_severity=Severity(severity.upper()),
        subscription_id=subscription_id,
        url=url,
        secret_ref=reference,
        name=name,
        kinds=kinds,
        line_ids=lines,
        unit_codes=unit_codes,
    )
    write_subscription(settings, codec_of(settings), subscription)
    if as_json:
        click.echo(json_text({"subscription": subscription, "secret": secret}))
        return
    click.echo(f"subscribed: {subscription_id}")
    if secret_env and secret_env not in os.environ:
        click.echo(f"{secret_env} is not set here: see to it that every worker has it", err=True)
    if secret:
        click.echo(f"signing secret, shown this once: {secret}")
    if url.startswith("http://") and not allow_private:
        click.echo("http:// sends in clear: anyone between here and there can read it (not forge it)", err=True)


@click.group()
def subscriptions() -> None:
    """List and remove subscriptions."""


@subscriptions.command("list")
@RUN
@click.option("--json", "as_json", is_flag=True, help="Print the subscriptions as JSON.")
def list_subscriptions(run_name: str, as_json: bool) -> None:
    """List the subscriptions that stand.

    \b
    Example:
      cityops subscriptions list
    """
    from streams.subscriptions import read_subscriptions

    settings = settings_of(run_name)
    found = sorted(read_subscriptions(settings, codec_of(settings)).values(), key=lambda one: one.created_at_ms)
    if as_json:
        click.echo(json_text(found))
        return
    zone = city_zone(settings)
    table = Table(whole("subscription"), "name", "since", folded("to"), "asks for")
    for one in found:
        table.add_row(one.subscription_id, one.name, local_time(one.created_at_ms, zone), one.url, _asks_for(one))
    console = terminal()
    console.print(table)
    console.print(f"{len(found):,} subscriptions")


@subscriptions.command("remove")
@click.argument("subscription_id", metavar="ID")
@RUN
def remove_subscription(subscription_id: str, run_name: str) -> None:
    """Tell a subscriber (the beginning of its id is enough) nothing more, from now on; its secret is deleted.

    \b
    Example:
      cityops subscriptions remove s-0011223344556677
    """
    from dataclasses import replace

    from streams.subscriptions import forget_secret, read_subscriptions, write_subscription

    settings = settings_of(run_name)
    codec = codec_of(settings)
    found = [one for name, one in read_subscriptions(settings, codec).items() if name.startswith(subscription_id)]
    if len(found) > 1:
        raise UsageError(f"{subscription_id!r} begins the ids of {len(found)} subscriptions: give more of it")
    if not found:
        raise UsageError(
            f"there is no subscription {subscription_id}: `cityops subscriptions list` shows those there are"
        )
    standing = found[0]
    write_subscription(settings, codec, replace(standing, removed_at_ms=time.time_ns() // 1_000_000))
    forget_secret(settings, standing.secret_ref)
    click.echo(f"removed: {standing.subscription_id}")


@click.group()
def alerts() -> None:
    """Try a receiver, and see what was delivered."""


@alerts.command()
@click.argument("url")
@click.option("--secret", default="", help="The receiver's whsec_ secret; without it one is made and shown.")
@click.option("--allow-private", is_flag=True, help="The receiver is on a private or loopback address.")
def test(url: str, secret: str, allow_private: bool) -> None:
    """Post one test notification and say what came back.

    \b
    Example:
      cityops alerts test http://127.0.0.1:9000/ --allow-private
    """
    import asyncio

    from processors.alerts import example_bytes
    from sinks.webhook import WebhookCaller, checked_url, signed_headers
    from streams.subscriptions import new_secret

    checked_url(url, allow_private=allow_private)
    secret = secret or new_secret()
    now_s = time.time_ns() // 1_000_000_000
    notification_id = content_id("n", "test", now_s)
    payload = example_bytes(now_s * 1000)

    async def post() -> None:
        async with WebhookCaller() as caller:
            attempt = await caller.post(url, notification_id, payload, secret, now_s, allow_private=allow_private)
        if attempt.error:
            raise CityopsError(f"{url}: {attempt.error}")
        click.echo(f"taken: {attempt.status_code}")

    click.echo(f"POST {url}\nsecret: {secret}")
    for name, value in signed_headers(secret, notification_id, now_s, payload).items():
        click.echo(f"{name}: {value}")
    click.echo(payload.decode())
    asyncio.run(post())


@alerts.command()
@click.option("--subscription", "subscription_id", default="", help="Only of this subscription.")
@click.option("--state", type=OneOf(DeliveryState), help="Only in this state.")
@click.option("--limit", default=50, show_default=True, help="At most so many, the newest.")
@RUN
@click.option("--json", "as_json", is_flag=True, help="Print the deliveries as JSON.")
def deliveries(subscription_id: str, state: str | None, limit: int, run_name: str, as_json: bool) -> None:
    """List notifications: delivered, tried again, given up, or not tried yet.

    \b
    Example:
      cityops alerts deliveries --state retrying
    """
    settings = settings_of(run_name)
    found, waiting = _deliveries(settings, subscription_id)
    if state is not None:
        found, waiting = [one for one in found if one.state is DeliveryState(state.upper())], 0
    found = found[-limit:]
    if as_json:
        click.echo(json_text({"deliveries": found, "not_tried_yet": waiting}))
        return
    zone = city_zone(settings)
    titles = (folded(name) for name in ("notification", "incident", "subscription"))
    table = Table(*titles, "state", "attempts", "last", "next", "answer")
    for one in found:
        answer = one.error or (str(one.status_code) if one.status_code else "")
        due = local_time(one.next_at_ms, zone) if one.next_at_ms else ""
        shown = Text(one.state.lower().replace("_", " "), COLOURS[one.state])
        ids = (one.notification_id, one.incident_id, one.subscription_id)
        table.add_row(*ids, shown, str(one.attempts), local_time(one.at_ms, zone), due, answer)
    console = terminal()
    console.print(table)
    console.print(f"{len(found):,} shown, {waiting:,} not tried yet")


@alerts.command()
def schema() -> None:
    """Print the JSON Schema of what is posted.

    \b
    Example:
      cityops alerts schema > alert.schema.json
    """
    from processors.alerts import alert_schema

    click.echo(json_text(alert_schema()))


def _deliveries(settings: Settings, subscription_id: str) -> tuple[list[Delivery], int]:
    """Return the newest word on each notification, by time, and how many were not tried yet."""
    from schemas.records import Notification
    from streams.tail import Tail

    codec = codec_of(settings)
    with (
        Tail(settings, codec, topics.DELIVERIES, Delivery) as told,
        Tail(settings, codec, topics.NOTIFICATIONS, Notification) as raised,
    ):
        newest = {one.notification_id: one for one in told.catch_up()}
        known = {one.notification_id: one.subscription_id for one in raised.catch_up()}
    wanted = [one for one in newest.values() if subscription_id in ("", one.subscription_id)]
    waiting = sum(name not in newest and subscription_id in ("", whose) for name, whose in known.items())
    return sorted(wanted, key=lambda one: (one.at_ms, one.notification_id)), waiting


def _asks_for(one: Subscription) -> str:
    parts = [
        ", ".join(one.kinds) or "all kinds",
        f"lines {', '.join(one.line_ids)}" if one.line_ids else "",
        f"units {', '.join(one.unit_codes)}" if one.unit_codes else "",
        f"{one.min_severity.lower()} or worse" if one.min_severity is not Severity.MINOR else "",
        "" if one.exercises else "no exercises",
    ]
    return " · ".join(part for part in parts if part)


def _check_kinds(settings: Settings, kinds: tuple[str, ...]) -> None:
    """Raise UsageError for a kind that no rule makes, neither in the folder nor of a published set."""
    from processors.incidents.rules import load_rules, rules_of
    from streams.rule_sets import read_published

    known = {rule.kind for rule in load_rules(settings.rules or settings.city / "rules").rules}
    if not known.issuperset(kinds):
        published = read_published(settings, codec_of(settings))
        known |= {rule.kind for one in published for rule in rules_of(one.files).rules}
    for kind in kinds:
        if kind not in known:
            raise UsageError(f"no rule makes incidents of kind {kind!r}: there are {', '.join(sorted(known))}")


def _check_places(settings: Settings, lines: tuple[str, ...], units: tuple[str, ...]) -> tuple[str, ...]:
    """Return the codes of units given by code or name. Raises UsageError for a line or unit the city has not."""
    if not lines and not units:
        return ()
    from difflib import get_close_matches

    from streams.session import city_of

    city = city_of(settings)
    known = {line.line_id for line in city.lines}
    for line in lines:
        if line not in known:
            near = get_close_matches(line, known, n=3, cutoff=0.3)
            raise UsageError(
                f"{city.name} has no line {line!r}" + (f": did you mean {', '.join(near)}?" if near else "")
            )
    return tuple(unit_named(city, unit).unit_code for unit in units)
