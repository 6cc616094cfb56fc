"""A page with the reading panel and a comparison of made-up maps; run as a process of its own.

``python -m tests.browser.reading_app WORKSPACE PORT`` serves until SIGTERM. Being another process,
it can be killed while a browser draws.
"""

from __future__ import annotations

import sys
from pathlib import Path

from annotations.store import Store
from annotations.workspace import open_workspace
from audit_app.environment import prepare_environment


def main(root: Path, port: int) -> None:
    workspace = open_workspace(root)
    prepare_environment(workspace.cache / "gradio")
    from audit_app.services import Services
    from audit_app.serving import serve
    from audit_app.settings import Settings
    from audit_app.viewer.routes import build_routes
    from tests.browser.reading_demo import build_demo

    settings = Settings(port=port, open_browser=False)
    with Store.open(workspace) as store:
        services = Services(workspace, store, settings)
        demo, look = build_demo(services)
        serve(demo, services, settings, build_routes(services), look=look)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
