"""What the viewer's Gradio components share: how their script is loaded and their value passed."""

from __future__ import annotations

from typing import Any

import gradio as gr

# Keeps ${value} out of the template, which would rebuild the canvas at each change. The value is
# watched at once and shown when the script is there: updates in between are not lost.
_ON_LOAD = """
const host = element.querySelector('.sa-host');
const address = new URL('audit/viewer/%(script)s', document.baseURI);
const sheet = new URL('audit/viewer/viewer.css', document.baseURI);
if (!document.querySelector(`link[href="${sheet}"]`)) {
  const link = Object.assign(document.createElement('link'), {rel: 'stylesheet', href: sheet});
  document.head.append(link);
}
const events = [%(events)s];
const panel = import(address).then((module) => new module.%(name)s(host, (event, data) => {
  if (events.includes(event)) trigger(event, data);
}));
const show = () => panel.then((ready) => ready.show(props.value));
watch('value', show);
show();
panel.catch((error) => {
  host.textContent = `The viewer could not be loaded (${error.message}). Reload the page.`;
});
"""


class ScriptPanel(gr.HTML):
    """A block drawn by one of the viewer's scripts; its value is one JSON object or None.

    The value goes to the page in one piece, so that nothing of one case can be shown with
    another one. What comes back from the page is never believed: handlers take ids from
    events and read the store.
    """

    def __init__(
        self,
        *,
        script: str,
        script_class: str,
        events: tuple[str, ...] = (),
        label: str,
        value: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        """A panel of the class ``script_class`` that ``script`` exports.

        Args:
            script: File beside this module.
            script_class: What it exports; made with (host element, trigger).
            events: Names that it may trigger; each is then a method of this component.
            label: Accessible name.
            value: At first; handlers may give others.
            options: Further options of ``gr.HTML``, such as ``elem_id``.
        """
        names = ", ".join(f"'{event}'" for event in events)
        super().__init__(
            value,
            label=label,
            html_template="<div class='sa-host'></div>",
            js_on_load=_ON_LOAD % {"script": script, "events": names, "name": script_class},
            apply_default_css=False,
            **options,
        )

    def preprocess(self, payload: Any) -> None:  # noqa: ARG002 - Gradio's signature
        """Nothing: the page's copy of the value is no input."""
        return

    def postprocess(self, value: Any) -> Any:
        """The value as it goes to the page.

        Raises:
            TypeError: If it is neither a JSON object nor None.
        """
        if value is not None and not isinstance(value, dict):
            raise TypeError(f"a panel shows one dict or None, not {type(value).__name__}")
        return value

    def api_info(self) -> dict[str, Any]:
        """The type of the value."""
        return {"type": "object"}
