// Key presses to commands, wherever in the panel the focus is. Space held pans, H held hides.

import { isTyping } from './dom.js';
import { comboOf, commandOf } from './keys.js';

export class Keyboard {
  // panel: {host, sheet, commands, viewers(), isHidden}
  constructor(panel) {
    this.panel = panel;
  }

  down(event) {
    const { host, sheet, commands } = this.panel;
    if (!host.offsetParent || sheet.open || isTyping(event.target) || event.defaultPrevented) return;
    const onControl = event.target.closest?.('button,summary,a,[role=tab]');
    if (event.key === ' ' && !onControl) {
      this.holdSpace(true);
      event.preventDefault();
      return;
    }
    const command = commandOf(event);
    if (event.key.startsWith('Arrow') && event.target.closest?.('[role=tab]')) return; // they walk the tabs
    if (!command || (onControl && event.key === 'Enter' && !event.ctrlKey) || isOutside(event.target, host)) return;
    if (commands[command] && commands[command](event, comboOf(event)) !== false) event.preventDefault();
  }

  up(event) {
    if (event.key === ' ' || event.key.toLowerCase() === 'h') this.released();
  }

  // Also when the window loses the keyboard while one is held.
  released() {
    this.holdSpace(false);
    if (!this.panel.isHidden) this.panel.viewers().forEach((viewer) => viewer.setHidden(false));
  }

  holdSpace(isDown) {
    for (const { gestures } of this.panel.viewers()) {
      gestures.isSpaceDown = isDown;
      gestures.showCursor();
    }
  }
}

// Keys typed into other parts of the page are theirs, but for the worklist, the bare page and the tab
// that was just opened.
function isOutside(target, host) {
  return !(target === document.body || host.contains(target) || target.closest?.('.sa-worklist,[role=tab]'));
}
