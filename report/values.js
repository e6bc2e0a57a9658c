// Exact values: the nearest point under the pointer, or point by point with the arrow keys. The points' places come with the
// figure, in the units of its svg, and those in its narrow drawing. Each series of several can be hidden.
const onPhone = matchMedia("screen and (max-width: 40rem)"); // as in style.css
function readable(picture) {
  const series = JSON.parse(picture.dataset.points).filter((one) => one.x.length);
  if (!series.length) return;
  const drawn = (phone) => (phone && picture.querySelector("svg.narrow")) || picture.querySelector("svg");
  const places = (one) => (onPhone.matches && one.narrow) || one;
  const output = picture.querySelector("output");
  const hint = "Exact values: point at the figure, or focus it and use the arrow keys.";
  const ring = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  ring.setAttribute("class", "ring");
  ring.setAttribute("r", 6);
  let seen = series;
  let at = null; // [series, point]

  function show(place) {
    at = place;
    if (!at) {
      ring.remove();
      output.textContent = hint;
      return;
    }
    const one = seen[at[0]];
    const point = at[1];
    ring.setAttribute("cx", places(one).left[point]);
    ring.setAttribute("cy", places(one).down[point]);
    drawn(onPhone.matches).append(ring);
    const values = [[one.x_name, one.x[point]], [one.y_name, one.y[point]]].filter(([name]) => name);
    const said = values.map(([name, value]) => `${name}: ${shown(value)}`);
    if (one.low && one.low[point] < one.high[point]) said.push(`${one.band_name}: ${shown(one.low[point])} to ${shown(one.high[point])}`);
    output.textContent = [one.series, ...said].join(" · ");
  }

  function follow(event) {
    const svg = event.currentTarget;
    const box = svg.getBoundingClientRect();
    const scale = svg.viewBox.baseVal.width / box.width;
    const [right, down] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    let nearest = Infinity;
    for (const [line, one] of seen.entries()) {
      const { left, down: lower } = places(one);
      for (const point of one.x.keys()) {
        const away = Math.hypot(left[point] - right, lower[point] - down);
        if (away < nearest) [at, nearest] = [[line, point], away];
      }
    }
    show(at);
  }

  function step(event) {
    if (!seen.length) return;
    const [line, point] = at ?? [0, -1];
    const one = seen[line];
    const across = (by) => {
      const next = (line + by + seen.length) % seen.length;
      const away = seen[next].x.map((x) => Math.abs(x - one.x[Math.max(point, 0)]));
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
    if (at) ring.scrollIntoView({ block: "nearest", inline: "nearest" }); // where a figure is wider than the window
  }

  function toggle(button) {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", on);
    const slug = picture.closest("figure").id.replace("fig-", "");
    for (const one of series.filter((one) => one.series === button.textContent)) {
      one.hidden = !on;
      const marks = one.marks.flatMap((mark) => [`${slug}-${mark}`, `${slug}-narrow-${mark}`]);
      for (const mark of marks) document.getElementById(mark)?.style.setProperty("display", on ? "" : "none");
    }
    seen = series.filter((one) => !one.hidden);
    show(null);
  }

  for (const button of picture.closest("figure")?.querySelectorAll(".series button") ?? []) {
    button.addEventListener("click", () => toggle(button));
  }
  picture.setAttribute("role", "application"); // so that screen readers hand the arrow keys over
  picture.setAttribute("aria-label", `Values of ${picture.querySelector("title").textContent}: arrow keys step through them`);
  picture.addEventListener("keydown", step);
  for (const svg of new Set([drawn(false), drawn(true)])) {
    svg.addEventListener("pointermove", follow);
    svg.addEventListener("pointerdown", follow);
    svg.addEventListener("pointerleave", () => show(null));
  }
  onPhone.addEventListener("change", () => show(null));
  show(null);
}

for (const picture of all(".picture")) readable(picture);
