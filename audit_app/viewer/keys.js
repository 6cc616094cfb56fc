// The keyboard map: one table that both the dispatch and the shortcut sheet read.

// [keys, command, what it does]. A key is written as comboOf() gives it.
export const SHORTCUTS = {
  Boxes: [
    [['b'], 'draw', 'Draw boxes (stays on); with Shift also inside the selected box'],
    [['v'], 'select', 'Select and move'],
    [['d'], 'place', 'Put a box in the middle of what is shown (without a mouse)'],
    [['1', '2', '3', '4', '5', '6', '7', '8', '9', '0'], 'finding', 'Choose the finding of the next box, or of the box you selected'],
    [['enter'], 'relabel', 'Give the chosen finding to the box just drawn'],
    [['/'], 'search', 'Search the findings'],
    [['q'], 'definite', 'Definite'],
    [['w'], 'probable', 'Probable'],
    [['e'], 'possible', 'Possible'],
    [['t'], 'note', 'Note on the selected box'],
    [['arrowleft', 'arrowright', 'arrowup', 'arrowdown'], 'nudge', 'Move the selected box by 1 px, with Shift by 10 px; pan when none is selected'],
    [['ctrl+arrowleft', 'ctrl+arrowright', 'ctrl+arrowup', 'ctrl+arrowdown'], 'resize', 'Move its right and lower edge by 1 px, with Shift by 10 px'],
    [['delete', 'backspace'], 'delete', 'Delete the selected box'],
    [['escape'], 'escape', 'Leave what you are doing; unselect'],
    [['ctrl+z'], 'undo', 'Undo'],
    [['ctrl+y', 'ctrl+shift+z'], 'redo', 'Redo'],
    [['n'], 'no_finding', 'No Finding'],
  ],
  Picture: [
    [['h'], 'hide', 'Hide all boxes while held'],
    [['f'], 'fit', 'Fit to the window'],
    [['a'], 'actual', 'Actual size (1:1)'],
    [['+', '='], 'zoom_in', 'Zoom in (or the wheel)'],
    [['-'], 'zoom_out', 'Zoom out'],
    [['g'], 'pan', 'Pan (or hold Space, or the middle button)'],
    [['m'], 'measure', 'Measure'],
    [[']'], 'wider', 'Less contrast (or drag with the right button, across)'],
    [['['], 'narrower', 'More contrast'],
    [['.'], 'brighter', 'Brighter (or drag with the right button, up)'],
    [[','], 'darker', 'Darker'],
    [['p'], 'next_preset', 'Next window preset'],
    [['shift+p'], 'previous_preset', 'Previous window preset'],
    [['i'], 'invert', 'Invert'],
    [['r'], 'reset', 'Reset window and zoom'],
  ],
  Cases: [
    [['j', 'pagedown'], 'next', 'Next case'],
    [['k', 'pageup'], 'previous', 'Previous case'],
    [['ctrl+enter'], 'commit', 'Commit the reading'],
    [['?'], 'help', 'This sheet'],
  ],
};

export const COMMANDS = new Map(
  Object.values(SHORTCUTS).flat().flatMap(([keys, command]) => keys.map((key) => [key, command])),
);

// 'ctrl+z', 'shift+arrowleft', 'f', '?'. Shift counts only where the key does not say it already.
export function comboOf(event) {
  const key = event.key.toLowerCase();
  const isLetter = /^[a-z]$/.test(key);
  const hasShift = event.shiftKey && (isLetter || key.length > 1);
  const isControl = event.ctrlKey || event.metaKey;
  return `${isControl ? 'ctrl+' : ''}${event.altKey ? 'alt+' : ''}${hasShift ? 'shift+' : ''}${key}`;
}

// The command of a key press, with Shift dropped where it only makes a nudge larger.
export function commandOf(event) {
  const combo = comboOf(event);
  if (/^shift\+arrow/.test(combo)) return 'nudge';
  if (/^ctrl\+shift\+arrow/.test(combo)) return 'resize';
  return COMMANDS.get(combo) ?? null;
}

const NAMES = {
  arrowleft: '←', arrowright: '→', arrowup: '↑', arrowdown: '↓', delete: 'Del', backspace: '⌫', escape: 'Esc',
  enter: 'Enter', pagedown: 'Page ↓', pageup: 'Page ↑',
};

export const keyNames = (keys) => keys.map((combo) => combo.split('+').map((part) => (
  NAMES[part] ?? (part === '' ? '+' : part.length === 1 ? part.toUpperCase() : part[0].toUpperCase() + part.slice(1))
)).filter((part, i, all) => !(part === '+' && i > 0 && all[i - 1] === '+')).join(' '));
