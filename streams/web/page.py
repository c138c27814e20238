"""The built page: files of streams/page/dist, cached by their hashed names; how to build it where it is not built."""

from pathlib import Path
from typing import Final

from aiohttp import web

DIST: Final = Path(__file__).resolve().parent.parent / "page" / "dist"
ASSETS: Final = "assets"
FOREVER: Final = "public, max-age=31536000, immutable"

NOT_BUILT: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>cityops</title>
<h1>The page is not built</h1>
<p>In the project's folder, build it with</p>
<pre>make page</pre>
<p>and load this again. The API under <a href="/api/city">/api</a> works without it.</p>
</html>
"""


def add_page(router: web.UrlDispatcher, folder: Path = DIST) -> None:
    """Put the page on a server: its own address and its assets."""
    page = Page(folder)
    router.add_get("/", page.index)
    router.add_get("/assets/{path:[A-Za-z0-9_./-]+}", page.asset)


class Page:
    """Serves one folder; nothing outside it, no links out of it, no hidden files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    async def index(self, _: web.Request) -> web.StreamResponse:
        """Answer / with the page, asked for anew each time since its assets change their names."""
        file = self._folder / "index.html"
        if not file.is_file():
            return web.Response(text=NOT_BUILT, content_type="text/html", status=503)
        return web.FileResponse(file, headers={"Cache-Control": "no-cache"})

    async def asset(self, request: web.Request) -> web.StreamResponse:
        """Answer /assets/...: a name with a hash never changes its content."""
        file = (self._folder / ASSETS / request.match_info["path"]).resolve()
        inside = file.is_relative_to(self._folder / ASSETS)
        hidden = any(part.startswith(".") for part in Path(request.match_info["path"]).parts)
        if not inside or hidden or not file.is_file():
            raise web.HTTPNotFound
        return web.FileResponse(file, headers={"Cache-Control": FOREVER})
