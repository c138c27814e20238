"""`cityops doctor`: what is wrong with this machine, the settings or the servers, and what to do about it."""

from collections.abc import Iterable
from importlib import metadata

from schemas.errors import UsageError
from streams.checks import Check, ok, problem, warning
from streams.doctor_machine import check_machine, check_names, check_python
from streams.doctor_servers import check_servers
from streams.settings import Settings, exposed_secrets, settings_from_env
from streams.stack import endpoints


def examine() -> Iterable[Check]:
    """Check everything that can be checked as things are; nothing has to run."""
    yield check_python()
    yield check_names(metadata.packages_distributions())
    try:
        settings = settings_from_env()
    except UsageError as error:
        yield problem("settings", str(error), "correct that variable (docs/settings.md lists them all), then run again")
        return
    yield check_settings(exposed_secrets())
    yield from check_machine(settings)
    yield from _servers(settings)


def check_settings(exposed: list[str]) -> Check:
    """Tell whether files with secrets are private."""
    if exposed:
        said, _, remedy = exposed[0].partition(": ")
        return warning("settings", said, remedy)
    return ok("settings", "every variable is understood")


def _servers(settings: Settings) -> Iterable[Check]:
    own = (settings.kafka_bootstrap_servers, settings.schema_registry_url, settings.clickhouse_url)
    try:
        found = endpoints(settings)
    except UsageError:
        if not any(own):
            yield ok("servers", "the embedded ones, not running; `cityops stack up` or `cityops demo` starts them")
            return
        yield warning(
            "servers", "some are set, the others would be embedded ones, which do not run", "run `cityops stack up`"
        )
        found = settings
    yield from check_servers(found)
