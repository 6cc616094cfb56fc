// What each command of the keyboard map and the toolbar does to a reading panel.

const PAN_PX = 60;
const ARROWS = { arrowleft: [-1, 0], arrowright: [1, 0], arrowup: [0, -1], arrowdown: [0, 1] };

export function buildCommands(panel) {
  return { ...toolCommands(panel), ...pictureCommands(panel), ...boxCommands(panel), ...caseCommands(panel) };
}

function toolCommands(panel) {
  const { viewer, toolbar } = panel;
  const choose = (tool) => () => {
    viewer.gestures.tool = tool;
    viewer.gestures.showCursor();
    if (tool !== 'measure') viewer.measure(null);
    toolbar.setTool(tool);
    viewer.takeFocus();
  };
  return { draw: choose('draw'), select: choose('select'), pan: choose('pan'), measure: choose('measure') };
}

// Of any panel that shows one picture, once or in several viewers that are tied together.
export function pictureCommands(panel) {
  const { viewer, toolbar } = panel;
  const { picture } = viewer;
  const open = (action) => (...details) => (viewer.isOpen() ? action(...details) : false);
  const adjust = (change) => open(() => viewer.dragWindow(change(picture.window())));
  const presetBy = (by) => open(() => {
    const { presets } = picture.meta;
    const at = presets.indexOf(picture.preset);
    panel.choosePreset((at + by + presets.length) % presets.length);
  });
  return {
    fit: open(() => picture.fit()),
    actual: open(() => picture.actualSize()),
    zoom_in: open(() => picture.zoomBy(1.25)),
    zoom_out: open(() => picture.zoomBy(0.8)),
    wider: adjust((window) => ({ ...window, width: window.width * 1.1 })),
    narrower: adjust((window) => ({ ...window, width: Math.max(1, window.width / 1.1) })),
    brighter: adjust((window) => ({ ...window, center: window.center - brighten(picture) * window.width * 0.05 })),
    darker: adjust((window) => ({ ...window, center: window.center + brighten(picture) * window.width * 0.05 })),
    next_preset: presetBy(1),
    previous_preset: presetBy(-1),
    invert: open(() => {
      picture.setInverted(!picture.isInverted);
      toolbar.press('invert', picture.isInverted);
    }),
    reset: open(() => {
      picture.setInverted(false);
      toolbar.press('invert', false);
      panel.choosePreset(picture.meta.default_preset);
      picture.fit();
    }),
    hide: (event) => hide(panel, event),
    help: () => panel.sheet.showModal(),
    focus: () => viewer.stage.focus({ preventScroll: true }),
  };
}

// Moving the level down brightens a picture whose high values are white.
const brighten = ({ meta, isInverted }) => ((meta.photometric === 'MONOCHROME1') !== isInverted ? -1 : 1);

// Held as a key, switched as a button.
function hide(panel, event) {
  if (event?.type !== 'keydown') panel.isHidden = !panel.isHidden;
  panel.viewers().forEach((viewer) => viewer.setHidden(event?.type === 'keydown' || panel.isHidden));
  panel.toolbar.press('hide', Boolean(panel.isHidden));
}

export function nudgeOrPan(viewer, event, mayNudge = true) {
  if (!viewer.isOpen()) return false;
  const [x, y] = ARROWS[event.key.toLowerCase()];
  const by = event.shiftKey ? 10 : 1;
  return (mayNudge && viewer.nudge(x * by, y * by, event.repeat)) || viewer.picture.panBy(-x * PAN_PX, -y * PAN_PX);
}

function boxCommands(panel) {
  const { viewer, sidebar } = panel;
  const certainty = (name) => () => panel.chooseCertainty(name);
  return {
    finding: (event, key) => {
      const finding = panel.meta?.findings.find((one) => one.key === key);
      return finding ? panel.chooseFinding(finding.name) : false;
    },
    relabel: () => {
      if (!panel.isFresh()) return false;
      panel.changeSelected({ finding: viewer.finding });
      return panel.say('');
    },
    search: () => {
      sidebar.search.focus();
      sidebar.search.select();
    },
    definite: certainty('definite'),
    probable: certainty('probable'),
    possible: certainty('possible'),
    note: () => (viewer.selected() ? sidebar.note.focus() : false),
    nudge: (event) => nudgeOrPan(viewer, event),
    place: (event) => (viewer.isOpen() && panel.isEditable && !event?.repeat ? viewer.place() : false),
    resize: (event) => {
      const [x, y] = ARROWS[event.key.toLowerCase()];
      const by = event.shiftKey ? 10 : 1;
      return viewer.isOpen() && viewer.stretch(x * by, y * by, event.repeat);
    },
    delete: () => viewer.deleteSelected(),
    escape: () => {
      if (viewer.gestures.abort()) return;
      viewer.measure(null);
      viewer.select(null);
      viewer.stage.focus({ preventScroll: true });
    },
    undo: () => panel.takeBack('undo'),
    redo: () => panel.takeBack('redo'),
    no_finding: () => panel.model && panel.edit({ kind: 'no_finding', no_finding: !panel.model.no_finding }),
  };
}

function caseCommands(panel) {
  return {
    next: () => panel.stepping.step(1),
    previous: () => panel.stepping.step(-1),
    commit: () => { panel.saving.commit(); },
    correct: () => { panel.saving.correct(); },
    compare: () => panel.trigger('compare', { case_id: panel.caseId }),
  };
}
