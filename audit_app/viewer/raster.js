// Draws a picture through a look-up table, at any zoom, by painting only what is in sight.

const TILE_PX = 256;
const COARSEST_PX = 700;
const SLOW_PAINT_MS = 18;
const SMOOTH_BELOW_SCALE = 6; // device pixels per picture pixel; above it the pixels themselves are shown

// One resolution of the picture, with a canvas whose tiles are painted when they come into sight.
class Level {
  constructor(pixels, width, height, factor) {
    Object.assign(this, { pixels, width, height, factor, canvas: null });
    this.columns = Math.ceil(width / TILE_PX);
    this.generations = new Uint32Array(this.columns * Math.ceil(height / TILE_PX));
  }

  // `part` in this level's pixels: [x_min, y_min, x_max, y_max].
  paint(part, words, generation) {
    if (!this.canvas) {
      this.canvas = new OffscreenCanvas(this.width, this.height);
      this.context = this.canvas.getContext('2d', { alpha: false });
    }
    for (let row = Math.floor(part[1] / TILE_PX); row * TILE_PX < part[3]; row += 1) {
      for (let column = Math.floor(part[0] / TILE_PX); column * TILE_PX < part[2]; column += 1) {
        const tile = row * this.columns + column;
        if (this.generations[tile] === generation) continue;
        this.generations[tile] = generation;
        this.paintTile(column * TILE_PX, row * TILE_PX, words);
      }
    }
  }

  paintTile(left, top, words) {
    const width = Math.min(TILE_PX, this.width - left);
    const height = Math.min(TILE_PX, this.height - top);
    const image = new ImageData(width, height);
    const out = new Uint32Array(image.data.buffer);
    for (let y = 0, to = 0; y < height; y += 1) {
      let from = (top + y) * this.width + left;
      for (let x = 0; x < width; x += 1, from += 1, to += 1) out[to] = words[this.pixels[from]];
    }
    this.context.putImageData(image, left, top);
  }
}

// Half the size by averages of 2 x 2; an odd last row or column is averaged with itself.
export function halved(pixels, width, height) {
  const outWidth = (width + 1) >> 1;
  const outHeight = (height + 1) >> 1;
  const out = new pixels.constructor(outWidth * outHeight);
  for (let y = 0, to = 0; y < outHeight; y += 1) {
    const upper = 2 * y * width;
    const lower = Math.min(2 * y + 1, height - 1) * width;
    for (let x = 0; x < outWidth; x += 1, to += 1) {
      const left = 2 * x;
      const right = Math.min(left + 1, width - 1);
      out[to] = (pixels[upper + left] + pixels[upper + right] + pixels[lower + left] + pixels[lower + right] + 2) >> 2;
    }
  }
  return { pixels: out, width: outWidth, height: outHeight };
}

export class Raster {
  constructor(pixels, width, height) {
    Object.assign(this, { width, height, generation: 1, words: null, isHurried: false, paintMs: 0 });
    this.levels = [new Level(pixels, width, height, 1)];
    let next = { pixels, width, height };
    while (Math.max(next.width, next.height) > COARSEST_PX) {
      next = halved(next.pixels, next.width, next.height);
      this.levels.push(new Level(next.pixels, next.width, next.height, 2 ** this.levels.length));
    }
  }

  setWords(words) {
    this.words = words;
    this.generation += 1;
  }

  // The coarsest level that still has a pixel for each device pixel; one coarser while hurried.
  levelFor(deviceScale) {
    let index = 0;
    while (index + 1 < this.levels.length && deviceScale * 2 ** (index + 1) <= 1.0001) index += 1;
    const isTooSlow = this.isHurried && this.paintMs > SLOW_PAINT_MS;
    return this.levels[Math.min(index + (isTooSlow ? 1 : 0), this.levels.length - 1)];
  }

  // `view` in device pixels, `part` in picture pixels.
  draw(context, view, part) {
    const started = performance.now();
    const level = this.levelFor(view.scale);
    const { factor } = level; // exact also for odd sizes, where the last column is half empty
    const margin = 1;
    const inLevel = [
      Math.max(0, Math.floor(part[0] / factor) - margin), Math.max(0, Math.floor(part[1] / factor) - margin),
      Math.min(level.width, Math.ceil(part[2] / factor) + margin), Math.min(level.height, Math.ceil(part[3] / factor) + margin),
    ];
    level.paint(inLevel, this.words, this.generation);
    context.setTransform(view.scale * factor, 0, 0, view.scale * factor, view.x, view.y);
    context.imageSmoothingEnabled = view.scale < SMOOTH_BELOW_SCALE;
    context.drawImage(level.canvas, 0, 0);
    this.paintMs = performance.now() - started;
  }
}
