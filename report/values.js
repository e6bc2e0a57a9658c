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

  function follow(event) {
    const box = svg.getBoundingClientRect();
    const scale = svg.viewBox.baseVal.width / box.width;
    const [right, down] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    let nearest = Infinity;
    for (const [line, one] of series.entries()) {
      for (const point of one.x.keys()) {
        const away = Math.hypot(one.left[point] - right, one.down[point] - down);
        if (away < nearest) [at, nearest] = [[line, point], away];
      }
    }
    show(at);
  }

  function step(event) {
    const [line, point] = at ?? [0, -1];
    const one = series[line];
    const across = (by) => {
      const next = (line + by + series.length) % series.length;
      const away = series[next].x.map((x) => Math.abs(x - one.x[Math.max(point, 0)]));
      return [next, away.indexOf(Math.min(...away))];
    };
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
    if (at) ring.scrollIntoView({ block: "nearest", inline: "nearest" }); // on a phone the figure is wider than the window
  }

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
