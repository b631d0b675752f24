"""Where a worker's view answers: opened, and said to callers."""

from __future__ import annotations

import logging
import ssl
from contextlib import AsyncExitStack
from pathlib import Path

from aiohttp import web

from memfold.serve.view_address import announce
from memfold.serve.view_settings import ViewSettings

logger = logging.getLogger(__name__)


async def serve_view(
    application: web.Application,
    settings: ViewSettings,
    home: Path,
    roles: tuple[str, ...],
    closing: AsyncExitStack,
) -> None:
    """Answer until `closing` is closed; then callers no longer find it. Raises OSError where the port is taken."""
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    closing.push_async_callback(runner.cleanup)
    context = _context(settings)
    await web.TCPSite(runner, settings.host, settings.port, ssl_context=context).start()
    if settings.exposed:
        logger.warning(
            "the view on %s answers without TLS: token and memories can be read on their way", settings.host
        )
    url = f"{'https' if context else 'http'}://{settings.name}:{runner.addresses[0][1]}"
    address = announce(home, url, roles)
    closing.callback(address.unlink, missing_ok=True)


def _context(settings: ViewSettings) -> ssl.SSLContext | None:
    if settings.certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.certificate, settings.key)
    return context
