// Raw pixels of a case: fetched once, kept for the cases seen last, fetched ahead for the next one.

export class PixelCache {
  constructor({ fetchPixels, limitBytes = 128 * 2 ** 20 }) {
    this.fetchPixels = fetchPixels;
    this.limitBytes = limitBytes;
    this.cases = new Map(); // case_id -> {promise, bytes}; insertion order is age
  }

  // {pixels, width, height}; picture = {case_id, width, height}
  get(picture) {
    const known = this.cases.get(picture.case_id);
    if (known) {
      this.cases.delete(picture.case_id);
      this.cases.set(picture.case_id, known);
      return known.promise;
    }
    const entry = { bytes: 2 * picture.width * picture.height };
    entry.promise = this.load(picture, entry);
    this.cases.set(picture.case_id, entry);
    this.trim();
    return entry.promise;
  }

  prefetch(picture) {
    this.get(picture).catch(() => {}); // the case itself will say why when it is opened
  }

  async load(picture, entry) {
    try {
      const pixels = asPixels(await this.fetchPixels(picture.case_id), picture);
      entry.bytes = pixels.byteLength;
      entry.isLoaded = true;
      this.trim();
      return pixels;
    } catch (error) {
      this.cases.delete(picture.case_id);
      throw error;
    }
  }

  trim() {
    const total = () => [...this.cases.values()].reduce((sum, { bytes }) => sum + bytes, 0);
    // The newest two stay whatever their size: the open case and the next one.
    for (const key of [...this.cases.keys()].slice(0, -2)) {
      if (total() <= this.limitBytes) return;
      this.cases.delete(key);
    }
  }
}

// The payload tells its depth by its length: one or two bytes for each pixel, little-endian.
export function asPixels(buffer, { case_id: caseId, width, height }) {
  const perPixel = buffer.byteLength / (width * height);
  if (perPixel === 1) return new Uint8Array(buffer);
  if (perPixel === 2) return new Uint16Array(buffer);
  throw new Error(`the pixels of ${caseId} have ${buffer.byteLength} bytes; expected 1 or 2 for each of ${width} x ${height}`);
}

// Hex SHA-256, or null where the browser offers none (it does so on https and on localhost only).
export async function sha256(pixels) {
  if (!globalThis.crypto?.subtle) return null;
  const digest = await crypto.subtle.digest('SHA-256', pixels);
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
