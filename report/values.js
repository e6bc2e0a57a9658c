// Exact values: the nearest point under the pointer, or point by point with the arrow keys. The points' places come with the
// figure, in the units of its svg.
function readable(picture) {
  const series = JSON.parse(picture.dataset.points).filter((one) => one.x.length);
  if (!series.length) return;
  const svg = picture.querySelector("svg");
  const output = picture.querySelector("output");
  const hint = "Exact values: point at the figure, or focus it and use the arrow keys.";
  const ring = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  ring.setAttribute("class", "ring");
  ring.setAttribute("r", 6);
  let at = null; // [series, point]

  function show(place) {
    at = place;
    if (!at) {
      ring.remove();
      output.textContent = hint;
      return;
    }
    const one = series[at[0]];
    const point = at[1];
    ring.setAttribute("cx", one.left[point]);
    ring.setAttribute("cy", one.down[point]);
    svg.append(ring);
    const values = [[one.x_name, one.x[point]], [one.y_name, one.y[point]]].filter(([name]) => name);
    output.textContent = [one.series, ...values.map(([name, value]) => `${name}: ${shown(value)}`)].join(" · ");
  }

  function nearest(right, down, among = series) {
    let best = null;
    let distance = Infinity;
    for (const one of among) {
      for (const point of one.x.keys()) {
        const here = Math.hypot(one.left[point] - right, one.down[point] - down);
        if (here < distance) [best, distance] = [[series.indexOf(one), point], here];
      }
    }
    return best;
  }

  function follow(event) {
    const box = svg.getBoundingClientRect();
    const scale = svg.viewBox.baseVal.width / box.width;
    show(nearest((event.clientX - box.left) * scale, (event.clientY - box.top) * scale));
  }

  function step(event) {
    const [line, point] = at ?? [0, -1];
    const one = series[line];
    const other = (by) => series[(line + by + series.length) % series.length];
    const across = (by) => nearest(one.left[Math.max(point, 0)], one.down[Math.max(point, 0)], [other(by)]);
    const moves = {
      ArrowRight: () => [line, Math.min(point + 1, one.x.length - 1)],
      ArrowLeft: () => [line, Math.max(point - 1, 0)],
      ArrowDown: () => across(1),
      ArrowUp: () => across(-1),
      Home: () => [line, 0],
      End: () => [line, one.x.length - 1],
      Escape: () => null,
    };
    if (!(event.key in moves) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    show(moves[event.key]());
  }

  picture.tabIndex = 0;
  picture.setAttribute("role", "application"); // so that screen readers hand the arrow keys over
  picture.setAttribute("aria-label", `Values of ${svg.querySelector("title").textContent}: arrow keys step through them`);
  output.hidden = false;
  picture.addEventListener("keydown", step);
  svg.addEventListener("pointermove", follow);
  svg.addEventListener("pointerdown", follow);
  svg.addEventListener("pointerleave", () => show(null));
  show(null);
}

for (const picture of all(".picture")) readable(picture);
