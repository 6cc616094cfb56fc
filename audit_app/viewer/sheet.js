// The shortcut sheet on "?".

import { el } from './dom.js';
import { keyNames, SHORTCUTS } from './keys.js';

// Of these commands, by name; of all without them.
export function buildShortcutSheet(commands = null) {
  const close = el('button', { type: 'button', class: 'sa-tool', 'aria-label': 'Close', text: '×' });
  const known = Object.entries(SHORTCUTS)
    .map(([title, rows]) => [title, rows.filter(([, command]) => !commands || command in commands)])
    .filter(([, rows]) => rows.length);
  const columns = known.map(([title, rows]) => el('section', {}, el('h3', { text: title }),
    el('dl', {}, ...rows.flatMap(([keys, , meaning]) => [
      el('dt', {}, ...shortened(keyNames(keys)).map((text) => el('kbd', { text }))),
      el('dd', { text: meaning }),
    ]))));
  const sheet = el('dialog', { class: 'sa-sheet', 'aria-label': 'Keyboard shortcuts' },
    el('header', {}, el('h2', { text: 'Keyboard shortcuts' }), close),
    el('div', { class: 'sa-sheet-columns' }, ...columns));
  close.addEventListener('click', () => sheet.close());
  sheet.addEventListener('click', (event) => event.target === sheet && sheet.close());
  sheet.addEventListener('keydown', (event) => {
    event.stopPropagation();
    if (event.key === '?' || event.key === 'Escape') sheet.close();
  });
  return sheet;
}

const shortened = (names) => (names.length > 4 ? [`${names[0]} – ${names.at(-2)}`, names.at(-1)] : names);
