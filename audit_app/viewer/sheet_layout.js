// How a saved picture is laid out: pure functions, sizes in pixels of the file.

// The lines of a text that is broken between words so that each fits; a longer word is cut.
export function wrapped(text, width, measure) {
  const lines = [];
  let line = '';
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const longer = line ? `${line} ${word}` : word;
    if (measure(longer) <= width) {
      line = longer;
      continue;
    }
    if (line) lines.push(line);
    line = word;
    while (measure(line) > width && line.length > 1) {
      let cut = line.length - 1;
      while (cut > 1 && measure(line.slice(0, cut)) > width) cut -= 1;
      lines.push(line.slice(0, cut));
      line = line.slice(cut);
    }
  }
  return line ? [...lines, line] : lines;
}

// The part of the picture that a pane shows, as a frame of its own whose longer edge has `longest` pixels:
// {width, height, view}. What lies beside the picture is left out.
export function exportFrame(view, viewport, picture, longest) {
  const left = Math.max(0, -view.x / view.scale);
  const top = Math.max(0, -view.y / view.scale);
  const right = Math.min(picture.width, (viewport.width - view.x) / view.scale);
  const bottom = Math.min(picture.height, (viewport.height - view.y) / view.scale);
  const scale = longest / Math.max(right - left, bottom - top);
  return {
    width: Math.max(1, Math.round((right - left) * scale)),
    height: Math.max(1, Math.round((bottom - top) * scale)),
    view: { scale, x: -left * scale, y: -top * scale },
  };
}

// The whole picture, so that its longer edge has `longest` pixels.
export function wholeFrame(picture, longest) {
  const scale = longest / Math.max(picture.width, picture.height);
  return { width: Math.round(picture.width * scale), height: Math.round(picture.height * scale), view: { scale, x: 0, y: 0 } };
}

// Where each of `count` cells of this size goes, row after row.
export function cellPlaces(count, columns, { width, height }, gap) {
  return Array.from({ length: count }, (_, at) => ({
    x: (at % columns) * (width + gap),
    y: Math.floor(at / columns) * (height + gap),
  }));
}

// A file name of letters, digits and dashes only.
export function fileName(...parts) {
  const words = parts.map((part) => String(part ?? '').toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '')).filter(Boolean);
  return `${words.join('_').slice(0, 120)}.png`;
}

// Each line once, in order.
export const distinct = (lines) => [...new Set(lines)];
