// The page is complete without its scripts. This one: theme, contents, permalinks, previews, downloads, copy buttons, printing.
function all(selector, inside = document) {
  return [...inside.querySelectorAll(selector)];
}

/** A number to at most 6 digits. */
function shown(value) {
  return String(Number(value.toPrecision(6))).replace("-", "−");
}

// --- theme: the head of the page has already applied the remembered one ---
const theme = document.querySelector(".theme");
const choice = theme.querySelector("select");
choice.value = document.documentElement.dataset.theme ?? "auto";
choice.addEventListener("change", () => {
  if (choice.value === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice.value;
  try {
    localStorage.setItem("unravel-theme", choice.value);
  } catch {
    // some browsers keep nothing for pages opened from a file
  }
});

// --- contents: the present section is marked and, where they stand beside the article, its group is unfolded ---
const contents = document.querySelector("nav");
const beside = matchMedia("(min-width: 72rem)");
const present = new IntersectionObserver(
  (sections) => {
    for (const { target, isIntersecting } of sections) {
      const link = contents.querySelector(`a[href="#${target.getAttribute("aria-labelledby")}"]`);
      if (!link) continue;
      link.ariaCurrent = isIntersecting ? "true" : null;
      const group = link.closest("details");
      group.classList.toggle("present", Boolean(group.querySelector("[aria-current]")));
      if (isIntersecting && beside.matches) group.open = true; // the other groups fold: they share a name
    }
  },
  { rootMargin: "-20% 0px -79% 0px" }, // a line at a fifth of the window: one section at a time crosses it
);
for (const section of all("main > section")) present.observe(section);
contents.addEventListener("click", ({ target }) => {
  if (target.closest("a") && !beside.matches) target.closest("details").open = false;
});

// --- permalinks: a heading is its own, others get a sign behind their name ---
for (const target of all("main :is(h2, h3, figure, table, tr)[id]")) {
  if (target.querySelector(".permalink")) continue;
  const link = document.createElement("a");
  link.className = "permalink";
  link.href = `#${target.id}`;
  if (/^H\d$/.test(target.tagName) && !target.closest("summary")) {
    link.append(...target.childNodes);
    target.append(link);
  } else {
    const place = target.querySelector("figcaption p, caption, td, th") ?? target;
    const name = [...place.childNodes].find((part) => part.textContent.trim()) ?? target;
    link.textContent = "#";
    link.ariaLabel = `Permalink to: ${name.textContent.trim()}`;
    if (place.closest("summary")) place.closest("summary").after(link); // a summary may hold no link
    else place.insertBefore(link, place.querySelector("details"));
  }
}

// --- what a link leads to must not be folded away ---
function unfold() {
  for (let part = document.getElementById(decodeURIComponent(location.hash.slice(1))); part; part = part.parentElement) {
    if (part.tagName === "DETAILS") part.open = true;
  }
}
addEventListener("hashchange", unfold);
unfold();

// --- previews of what a link within the page leads to, for the pointer and for the keyboard ---
const main = document.querySelector("main");
const preview = document.createElement("div");
preview.id = "preview";
preview.role = "tooltip";
preview.hidden = true;
main.append(preview);
let previewed = null;
let closing = 0;

function excerpt(target) {
  const heading = target.matches("h2, h3");
  const parts = heading ? [target, target.closest("section").querySelector("p")] : [target];
  if (target.matches("figure")) parts.splice(0, 1, target.querySelector("svg"), target.querySelector("figcaption p"));
  const box = document.createElement("div");
  for (const part of parts.filter(Boolean)) {
    const copy = document.createElement(part.matches("p, li, tr, h2, h3") ? "p" : "div");
    copy.append(...(part.matches("p, li, tr, h2, h3, details, dl") ? part.cloneNode(true).childNodes : [part.cloneNode(true)]));
    box.append(copy);
  }
  for (const cell of all("td, th", box)) cell.append(" ");
  for (const part of all("button, details, .permalink", box)) if (!part.closest("h2, h3")) part.remove();
  for (const link of all("a", box)) link.replaceWith(...link.childNodes);
  for (const part of all("[id], [tabindex]", box)) ["id", "tabindex"].forEach((name) => part.removeAttribute(name));
  return box;
}

// a number says which file and key it comes from, here instead of in the browser's own tooltip
for (const link of all("a.number", main)) {
  link.dataset.source = link.title;
  link.removeAttribute("title");
}

function source(text) {
  const line = document.createElement("p");
  line.textContent = text;
  return line;
}

function openPreview(link) {
  clearTimeout(closing);
  if (link === previewed) return;
  closePreview();
  const target = document.getElementById(link.getAttribute("href").slice(1));
  if (!target || link.classList.contains("permalink")) return;
  preview.replaceChildren(link.dataset.source ? source(link.dataset.source) : excerpt(target));
  preview.hidden = false;
  const at = link.getBoundingClientRect();
  const below = at.bottom + preview.offsetHeight < innerHeight || at.top < preview.offsetHeight;
  const left = Math.min(at.left, document.documentElement.clientWidth - preview.offsetWidth - 8);
  preview.style.left = `${Math.max(left, 8) + scrollX}px`;
  preview.style.top = `${(below ? at.bottom : at.top - preview.offsetHeight) + scrollY}px`;
  previewed = link;
  link.setAttribute("aria-describedby", preview.id);
}

function closePreview() {
  previewed?.removeAttribute("aria-describedby");
  previewed = null;
  preview.hidden = true;
}

main.addEventListener("pointerover", ({ target, pointerType }) => {
  const link = target.closest('a[href^="#"]');
  clearTimeout(closing);
  if (link && pointerType === "mouse") openPreview(link);
  else if (!target.closest("#preview")) closing = setTimeout(closePreview, 200);
});
main.addEventListener("focusin", ({ target }) => {
  if (target.matches('a[href^="#"]:focus-visible')) openPreview(target);
});
main.addEventListener("focusout", closePreview);
addEventListener("keydown", ({ key }) => {
  if (key === "Escape") closePreview();
});

// --- downloads: text is compressed in the page and saved as the file that it was; without this script, compressed ---
for (const link of all('a[download$=".svg.gz"], a[download$=".csv.gz"]')) {
  link.addEventListener(
    "click",
    async (click) => {
      click.preventDefault();
      const bytes = Uint8Array.from(atob(link.href.split(",")[1]), (letter) => letter.charCodeAt(0));
      const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      link.href = URL.createObjectURL(await new Response(plain).blob());
      link.download = link.download.replace(/\.gz$/, "");
      link.click();
    },
    { once: true },
  );
}

// --- copy buttons ---
for (const button of all("button.copy")) {
  button.addEventListener("click", async () => {
    const text = button.previousElementSibling;
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(text); // not allowed here: one key is left to press
      button.textContent = "Selected";
    }
  });
}

// --- printing: what is folded is printed too, and folded again afterwards ---
let unfolded = [];
addEventListener("beforeprint", () => {
  unfolded = all("main details:not([open])"); // those of the contents fold one another, and are not printed
  for (const fold of unfolded) fold.open = true;
});
addEventListener("afterprint", () => unfolded.forEach((fold) => (fold.open = false)));
