// Edits on their way to the server: kept in the browser's storage until acknowledged, one request in
// flight, in order, retried for ever, offered again after a reload. The server applies a
// (client_id, sequence) once, so sending twice is harmless.
//
// What is stored: opaque ids, findings and boxes. The text of a note may say more than that; it goes to
// the second storage (the tab's own), which ends with the tab, and sealed to the lasting one.

const RETRY_MS = [300, 800, 2000, 4000, 8000];

export class Outbox {
  // send(edit) resolves to {status, body}; it rejects when there is no server.
  // listener: {state(name, pending, reason), acknowledged(edit, reading), refusing(edit), refused(edits, body),
  // rejected(edit, body)}
  // seal: {close(text), open(sealed)}, both promises, or null.
  constructor({ prefix, clientId, storage, noteStorage, seal = null, send, listener, timers = globalThis }) {
    Object.assign(this, { prefix, clientId, storage, noteStorage, seal, send, listener, timers });
    this.queue = [];
    this.held = []; // refused as outdated; kept until the reader decides
    this.sequence = 0;
    this.failures = 0;
    this.reason = ''; // of the last failure, where the server gave one
    this.isSending = false;
    this.isStorageBroken = false;
    this.isStarted = false;
    this.toOpen = []; // edits whose note lies sealed in the storage
    this.isSafe = new WeakSet(); // edits whose note outlives the tab
    this.waiting = [];
    this.restore();
  }

  // What an earlier page (or another tab) left behind.
  restore() {
    for (const key of this.storedKeys()) {
      for (const { held, sealed, ...edit } of this.read(key)) {
        const complete = this.withNote(edit);
        if (sealed) this.toOpen.push([complete, sealed]);
        (held ? this.held : this.queue).push(complete);
      }
    }
  }

  async start() {
    this.announce();
    await this.openNotes();
    this.isStarted = true;
    this.pump();
  }

  // Whether something would end with the tab: a note that is not sealed yet, or everything.
  isAtRisk() {
    const unsaved = [...this.queue, ...this.held];
    return unsaved.some((edit) => this.isStorageBroken || (edit.region?.note && !this.isSafe.has(edit)));
  }

  add(imageId, baseVersion, change) {
    this.sequence += 1;
    const edit = {
      client_id: this.clientId, sequence: this.sequence, image_id: imageId, base_version: baseVersion, ...change,
    };
    this.queue.push(edit);
    this.update(edit, (edits) => [...edits, withoutNote(edit)]);
    this.keepNote(edit);
    this.announce();
    this.pump();
    return edit;
  }

  pendingOf(imageId) {
    return this.queue.filter((edit) => edit.image_id === imageId);
  }

  heldOf(imageId) {
    return this.held.filter((edit) => edit.image_id === imageId);
  }

  // Resolves when every edit of this image was answered.
  flushed(imageId) {
    if (!this.pendingOf(imageId).length) return Promise.resolve();
    this.retryNow();
    return new Promise((resolve) => this.waiting.push({ imageId, resolve }));
  }

  // The reader's decision on held edits: give them back (to be made again) or forget them.
  takeHeld(imageId) {
    const taken = this.heldOf(imageId);
    this.held = this.held.filter((edit) => edit.image_id !== imageId);
    taken.forEach((edit) => this.forget(edit));
    return taken;
  }

  retryNow() {
    this.timers.clearTimeout(this.timer);
    this.pump();
  }

  async pump() {
    const edit = this.queue[0];
    if (this.isSending || !this.isStarted || !edit) return;
    this.isSending = true;
    let answer = null;
    try {
      answer = await this.send(edit);
    } catch {
      answer = null;
    }
    this.isSending = false;
    this.settle(edit, answer);
  }

  settle(edit, answer) {
    const { status = 0, body = null } = answer ?? {};
    if (status === 200 && body?.ok === true) this.acknowledge(edit, body.reading);
    else if (status === 409) this.hold(edit, body);
    else if ([400, 403, 404, 413, 422].includes(status)) this.reject(edit, body);
    else return this.retryLater(status === 401, body?.message ?? '');
    this.failures = 0;
    this.reason = '';
    this.announce();
    this.wakeWaiting();
    return this.pump();
  }

  acknowledge(edit, reading) {
    this.queue.shift();
    this.forget(edit);
    this.listener.acknowledged(edit, reading);
  }

  // Outdated or locked: this edit and all later ones of the image wait for the reader's decision.
  hold(edit, body) {
    this.isSending = true; // what is being typed is made an edit now and waits with the others
    this.listener.refusing(edit);
    this.isSending = false;
    const edits = this.pendingOf(edit.image_id);
    this.queue = this.queue.filter((other) => other.image_id !== edit.image_id);
    this.held.push(...edits);
    edits.forEach((other) => this.update(other, (stored) => stored.map(
      (item) => (item.sequence === other.sequence ? { ...item, held: true } : item),
    )));
    this.listener.refused(edits, body);
  }

  // Never acceptable: dropped, and the later ones move one version down, for this one made none.
  reject(edit, body) {
    this.queue.shift();
    this.forget(edit);
    for (const later of this.pendingOf(edit.image_id)) {
      later.base_version -= 1;
      this.update(later, (stored) => stored.map(
        (item) => (item.sequence === later.sequence ? { ...item, base_version: later.base_version } : item),
      ));
    }
    this.listener.rejected(edit, body);
  }

  retryLater(isSignedOut, reason) {
    const wait = RETRY_MS[Math.min(this.failures, RETRY_MS.length - 1)];
    this.failures += 1;
    this.isSignedOut = isSignedOut;
    this.reason = isSignedOut ? '' : reason;
    this.announce();
    this.timers.clearTimeout(this.timer);
    this.timer = this.timers.setTimeout(() => this.pump(), wait);
  }

  announce() {
    this.listener.state(this.state(), this.queue.length, this.reason);
  }

  state() {
    if (!this.queue.length) return 'saved';
    if (!this.failures) return 'saving';
    return this.isSignedOut ? 'signed_out' : 'retrying';
  }

  wakeWaiting() {
    const done = this.waiting.filter(({ imageId }) => !this.pendingOf(imageId).length);
    this.waiting = this.waiting.filter((item) => !done.includes(item));
    done.forEach(({ resolve }) => resolve());
  }

  // --- storage -----------------------------------------------------------------------------------

  storedKeys() {
    const keys = [];
    try {
      for (let i = 0; i < this.storage.length; i += 1) keys.push(this.storage.key(i));
    } catch {
      this.isStorageBroken = true;
    }
    return keys.filter((key) => key.startsWith(this.prefix)).sort();
  }

  read(key) {
    try {
      const edits = JSON.parse(this.storage.getItem(key) ?? '[]');
      return Array.isArray(edits) ? edits : [];
    } catch {
      return [];
    }
  }

  // Reads again before it writes: another tab may have taken over, or added to, the same list.
  update(edit, change) {
    const key = this.prefix + edit.client_id;
    const edits = change(this.read(key));
    try {
      if (edits.length) this.storage.setItem(key, JSON.stringify(edits));
      else this.storage.removeItem(key);
      this.isStorageBroken = false;
    } catch {
      this.isStorageBroken = true;
    }
  }

  forget(edit) {
    this.update(edit, (edits) => edits.filter((item) => item.sequence !== edit.sequence));
    this.onNotes((notes) => notes.removeItem(this.noteKey(edit)));
  }

  noteKey(edit) {
    return `${this.prefix}note/${edit.client_id}/${edit.sequence}`;
  }

  // In the tab's own storage at once, for a reload; sealed in the lasting one a moment later.
  async keepNote(edit) {
    if (!edit.region?.note) return;
    this.onNotes((notes) => notes.setItem(this.noteKey(edit), edit.region.note));
    const sealed = await this.seal?.close(edit.region.note);
    if (!sealed) return;
    this.update(edit, (stored) => stored.map((item) => (item.sequence === edit.sequence ? { ...item, sealed } : item)));
    this.isSafe.add(edit);
  }

  withNote(edit) {
    const note = this.onNotes((notes) => notes.getItem(this.noteKey(edit)));
    return note ? { ...edit, region: { ...edit.region, note } } : edit;
  }

  async openNotes() {
    for (const [edit, sealed] of this.toOpen) {
      const note = await this.seal?.open(sealed).catch(() => null); // null: of another key
      if (note) edit.region.note = note;
      this.isSafe.add(edit);
    }
  }

  onNotes(action) {
    try {
      return action(this.noteStorage);
    } catch {
      return null; // without it a note that was not yet sent ends with the page
    }
  }
}

function withoutNote(edit) {
  if (!edit.region?.note) return edit;
  // null tells the server to keep the note that it has.
  return { ...edit, region: { ...edit.region, note: null } };
}
