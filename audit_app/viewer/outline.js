// The outline that a source drew inside a box, as an SVG path in picture coordinates.

const KAPPA = 0.5522847498; // a quarter of an ellipse as one cubic curve

export function outlinePath(shape) {
  return shape.kind === 'ellipse' ? ellipsePath(shape.rings[0]) : shape.rings.map(ringPath).join('');
}

const ringPath = (ring) => `M${ring.map(([x, y]) => `${x} ${y}`).join('L')}Z`;

// From the ends of the two axes; conjugate diameters do as well.
function ellipsePath([[x1, y1], [x2, y2], [x3, y3], [x4, y4]]) {
  const [x, y] = [(x1 + x2) / 2, (y1 + y2) / 2];
  const along = [(x2 - x1) / 2, (y2 - y1) / 2];
  const across = [(x4 - x3) / 2, (y4 - y3) / 2];
  const at = (s, t) => `${x + s * along[0] + t * across[0]} ${y + s * along[1] + t * across[1]}`;
  const turn = (s, t) => `C${at(s - KAPPA * t, t + KAPPA * s)} ${at(-t + KAPPA * s, s + KAPPA * t)} ${at(-t, s)}`;
  return `M${at(1, 0)}${turn(1, 0)}${turn(0, 1)}${turn(-1, 0)}${turn(0, -1)}Z`;
}
