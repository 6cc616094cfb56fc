// One reading as the page shows it: what the server said, plus the edits that it has not answered yet.

export class ReadingModel {
  constructor(reading) {
    this.adopt(reading, []);
  }

  // Takes the server's word and puts the unanswered edits on top again.
  adopt(reading, pending) {
    const { regions, ...rest } = reading;
    Object.assign(this, rest);
    this.regions = regions.map((region) => ({ ...region }));
    this.nPending = 0;
    for (const edit of pending) this.apply(edit);
  }

  // The version on which the next edit is made: each unanswered edit will count one up.
  get nextBase() {
    return this.version + this.nPending;
  }

  region(regionId) {
    return this.regions.find((region) => region.region_id === regionId) ?? null;
  }

  // Why the reader cannot make this edit now, or null.
  refusal(edit) {
    if (!this.is_open) return 'This reading is committed. Press Correct to change it.';
    if (edit.kind === 'put' && this.no_finding && !this.region(edit.region.region_id)) {
      return '“No Finding” is set: it excludes boxes. Clear No Finding first, then mark what you see.';
    }
    if (edit.kind === 'no_finding' && edit.no_finding && this.regions.length) {
      const boxes = this.regions.length === 1 ? 'a box is' : `${this.regions.length} boxes are`;
      return `${boxes} marked on this picture: “No Finding” and boxes exclude each other. Delete the boxes first.`;
    }
    return null;
  }

  // Why the reader cannot make all of these edits now, one after the other, or null.
  refusalOf(edits) {
    const trial = new ReadingModel(this);
    for (const edit of edits) {
      const reason = trial.refusal(edit);
      if (reason) return reason;
      trial.apply(edit);
    }
    return null;
  }

  // Makes the edit here and returns the edit that takes it back.
  apply(edit) {
    this.nPending += 1;
    if (edit.kind === 'no_finding') {
      const before = this.no_finding;
      this.no_finding = edit.no_finding;
      return { kind: 'no_finding', no_finding: before };
    }
    const id = edit.kind === 'put' ? edit.region.region_id : edit.region_id;
    const at = this.regions.findIndex((region) => region.region_id === id);
    const before = at >= 0 ? this.regions[at] : null;
    if (edit.kind === 'delete') {
      if (at >= 0) this.regions.splice(at, 1);
    } else {
      const after = { ...edit.region, note: edit.region.note ?? before?.note ?? '' };
      if (at >= 0) this.regions[at] = after;
      else this.regions.push(after);
    }
    return before ? { kind: 'put', region: before } : { kind: 'delete', region_id: id };
  }
}

const MERGE_MS = 700;

// Undo and redo. Both are edits like any other, and are saved like any other.
export class History {
  constructor() {
    this.clear();
  }

  clear() {
    this.done = [];
    this.undone = [];
  }

  // Edits with the same tag in quick succession (an arrow key held down) are one step. The time is not
  // the computer's clock, which may be set back.
  record(forward, inverse, { tag = '', now = performance.now() } = {}) {
    const last = this.done.at(-1);
    if (tag && last?.tag === tag && now - last.at < MERGE_MS) Object.assign(last, { forward, at: now });
    else this.done.push({ forward, inverse, tag, at: now });
    this.undone = [];
  }

  undo() {
    const step = this.done.pop();
    if (!step) return null;
    this.undone.push({ ...step, tag: '' });
    return step.inverse;
  }

  redo() {
    const step = this.undone.pop();
    if (!step) return null;
    this.done.push(step);
    return step.forward;
  }
}
