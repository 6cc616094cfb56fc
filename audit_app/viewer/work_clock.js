// Time on task: how long somebody is at work on each case. Neither a pause counts nor time in which the
// case is not to be seen.

const PAUSE_MS = 60_000; // so long without a sign of life: nobody looks
const BEAT_MS = 500;
const LONGEST_MS = 24 * 60 * 60 * 1000; // as the server takes it

// The case that somebody has before their eyes and may still change.
export function workedOn({ host, isEditable, caseId }) {
  const isSeen = host.offsetParent && document.visibilityState === 'visible';
  return isSeen && isEditable ? caseId : null;
}

export class WorkClock {
  // workedOn() says which case is worked on right now, null when none is. The time is not the
  // computer's clock, which may be set back.
  constructor(workedOn, now = () => performance.now()) {
    Object.assign(this, { workedOn, now, caseId: null, since: 0, times: new Map() });
  }

  // on(target, type, listener, options) as the panel listens; the host is where it is drawn.
  listen(on, host) {
    // Once the host is hidden with its tab, nothing more counts, also without a sign of life.
    new ResizeObserver(() => this.turn()).observe(host);
    // Signs of life count wherever they go, also where somebody else ends the event.
    for (const type of ['keydown', 'pointerdown', 'pointermove', 'wheel']) {
      on(document, type, () => this.beat(), { capture: true, passive: true });
    }
    on(document, 'visibilitychange', () => this.turn());
    on(window, 'pagehide', () => this.keep());
  }

  // A sign of life; they come in hundreds while a pointer moves.
  beat() {
    if (this.now() - this.since >= BEAT_MS) this.turn();
  }

  // Counts what passed, and goes on with what is worked on now.
  turn() {
    const at = this.now();
    const passed = at - this.since;
    if (this.caseId !== null && passed <= PAUSE_MS) this.add(this.caseId, passed);
    Object.assign(this, { caseId: this.workedOn(), since: at });
  }

  add(caseId, ms) {
    this.times.set(caseId, (this.times.get(caseId) ?? 0) + ms);
  }

  // The whole milliseconds since they were taken last.
  take(caseId) {
    this.turn();
    const ms = Math.min(Math.round(this.times.get(caseId) ?? 0), LONGEST_MS);
    this.times.delete(caseId);
    return ms;
  }

  // --- over a reload -----------------------------------------------------------------------------

  restore(storage, key) {
    Object.assign(this, { storage, key });
    try {
      for (const [caseId, ms] of JSON.parse(storage.getItem(key) ?? '[]')) this.add(caseId, ms);
      storage.removeItem(key); // else a copy of this tab would count it again
    } catch {
      // Blocked or damaged: what this page measures is sent with its own edits.
    }
  }

  keep() {
    this.turn();
    try {
      this.storage?.setItem(this.key, JSON.stringify([...this.times]));
    } catch {
      // As above.
    }
  }
}
