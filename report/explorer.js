// The view to cut with one's own hands (explorer.html): which paths die, how many of each length are left, and what this
// run measured with as many blocks deleted.
function explore(view) {
  const paths = all(".path", view);
  const bars = all(".length", view);
  const measured = Object.entries(JSON.parse(view.dataset.measured));
  const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

  function update() {
    const deleted = all("input:checked", view).map((box) => Number(box.value));
    const left = paths.filter(({ dataset }) => deleted.every((block) => dataset.path[block - 1] === "0"));
    for (const path of paths) path.classList.toggle("lost", !left.includes(path));
    for (const bar of bars) {
      const ofLength = (path) => path.dataset.path.replaceAll("0", "").length === Number(bar.dataset.length);
      const [now, before] = [left.filter(ofLength).length, paths.filter(ofLength).length];
      const height = (bar.dataset.height * now) / before;
      bar.querySelector(".left").setAttribute("height", height);
      bar.querySelector(".left").setAttribute("y", -height);
      bar.querySelector(".count").textContent = `${now} of ${before}`;
    }
    const lost = paths.length - left.length;
    const said = [`${plural(deleted.length, "block")} deleted: ${left.length} of ${plural(paths.length, "path")} left, ${lost} lost.`];
    for (const [name, { blocks, errors }] of measured) {
      const error = errors[deleted.length];
      if (error === undefined) continue; // this run did not measure so few blocks, or so many
      said.push(`In this run, ${name} with ${deleted.length} of its ${blocks} blocks deleted at random has a median test error of ${error.toFixed(2)}%.`);
    }
    view.querySelector("output").textContent = said.join(" ");
  }

  view.addEventListener("change", update);
  view.hidden = false;
  update();
}

for (const view of all(".explorer")) explore(view);
