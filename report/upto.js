// The length up to which paths are kept, moved by a reader (upto.html): what these paths hold together.
function keepUpTo(view) {
  const values = JSON.parse(view.dataset.values);
  const [slide, cells] = [view.querySelector("input"), all("td", view)];

  function update() {
    const length = Number(slide.value);
    const x = Number(view.dataset.left) + Number(view.dataset.step) * length;
    for (const end of ["x1", "x2"]) view.querySelector(".at").setAttribute(end, x);
    for (const [row, cell] of cells.entries()) cell.textContent = values[row][length].toFixed(3).replace("-", "−");
    view.querySelector(".length").textContent = length;
    view.querySelector("output").textContent = length;
  }

  slide.addEventListener("input", update);
  view.querySelector(".slide").hidden = false;
  update();
}

for (const view of all(".up-to")) keepUpTo(view);
