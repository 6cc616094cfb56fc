// The case's description as it arrives, made ready for drawing.

import { base64Bytes } from './dom.js';

export function prepared(meta) {
  const presets = meta.presets.map((preset) => (
    preset.kind === 'table' ? { ...preset, values: base64Bytes(preset.values_b64) } : preset));
  return { ...meta, presets };
}
