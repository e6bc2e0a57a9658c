// Trained networks to cut by hand: a strip of blocks for each, what follows for paths and by this run's measurements, and what
// the networks now say of the test images. network.js computes it, in workers where the browser has them.
function cutting(view, data) {
  const { networks, pictures, classes, shape } = data;
  const percent = (value) => `${value.toFixed(2)}%`;
  const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
  const make = (tag, properties = {}, ...inside) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...inside);
    return made;
  };
  const drawn = (tag, attributes, text = "") => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.textContent = text;
    return made;
  };
  const swaps = () => view.querySelector("input[value=swap]").checked;

  // --- the images, and under each what the networks say ---
  const cards = make("ul", { className: "said" });
  for (const { label, pixels } of pictures) {
    const [height, width, channels] = shape;
    const canvas = make("canvas", { width, height, role: "img", ariaLabel: `test image: ${classes[label]}` });
    const [values, image] = [atob(pixels), new ImageData(width, height)];
    for (let at = 0; at < width * height; at++) {
      for (let colour = 0; colour < 3; colour++) {
        image.data[4 * at + colour] = values.charCodeAt(at * channels + (channels < 3 ? 0 : colour));
      }
      image.data[4 * at + 3] = 255;
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
    const name = make("span", { className: "class", textContent: classes[label], title: classes[label] });
    const lines = networks.map((network) => make("span", { className: "who", textContent: network.name }, make("span", { textContent: "…" })));
    cards.append(make("li", {}, canvas, name, ...lines));
  }

  /** What a network says of an image: its likeliest class, with its probability. */
  function say(number, picture, logits) {
    const powers = logits.map((logit) => Math.exp(logit - Math.max(...logits)));
    const probabilities = powers.map((power) => power / powers.reduce((one, other) => one + other));
    const best = probabilities.indexOf(Math.max(...probabilities));
    const right = best === pictures[picture].label;
    const line = cards.children[picture].children[2 + number].querySelector("span");
    line.textContent = `${right ? "✓" : "✗"} ${Math.round(100 * probabilities[best])}% ${classes[best]}`;
    line.title = classes[best];
    line.className = right ? "" : "wrong";
    return right;
  }

  // --- a network: its strip of blocks, its state, and what is said of it ---
  function strip(network, number) {
    const { name, residual, blocks, first, layers, single, random } = network;
    const noun = residual ? "block" : "layer";
    const keeps = Array.from({ length: blocks }, (_, block) =>
      layers.every((layer) => layer.block !== block + 1 || (layer.stride === 1 && !layer.pooled && layer.inputs === layer.outputs)));
    const intact = keeps.map((_, block) => block);
    // a stage ends with a layer that pools, and begins with a block that halves the resolution
    const stages = intact.reduce((found, block) => {
      if (block === 0 || (residual ? !keeps[block] : !keeps[block - 1])) found.push([]);
      found.at(-1).push(block);
      return found;
    }, []);
    const stage = (block) => stages.findIndex((members) => members.includes(block));
    let [order, off, picked, turn] = [[...intact], new Set(), null, 0];
    let right = new Map();

    const output = make("output", {}, ...["right", "paths", "measured"].map((part) => make("span", { className: part })));
    const says = (part, text) => (output.querySelector(`.${part}`).textContent = text);
    const buttons = intact.map((place) => make("button", { type: "button", tabIndex: place ? -1 : 0 }));
    const row = make("div", { className: "blocks", role: "toolbar", ariaLabel: `${noun}s of ${name}` },
      ...stages.map((members) => make("span", {}, ...members.map((place) => buttons[place]))));
    const bars = residual ? chart(blocks) : null;
    const head = make("h3", { textContent: `${name}, seed ${data.seed}: ${count(blocks, noun)} in ${count(stages.length, "stage")}` });
    view.append(head, row, ...(bars ? [bars.svg] : []), output);

    /** What is left of the paths: with d blocks off, C(n-d, x) of C(n, x) of length x (paper, Equation 8). */
    function pathsLeft() {
      const deleted = off.size;
      if (!residual) return deleted ? "Its only path is cut." : "It has one path, which leads through all layers.";
      const left = 2 ** (blocks - deleted);
      bars.show(deleted);
      return `${count(deleted, "block")} cut: ${left.toLocaleString("en")} of ${count(2 ** blocks, "path")} left.`;
    }

    function measured() {
      if (order.some((block, place) => block !== place)) return "This run measured other orders than this one.";
      if (off.size === 0) return `Measured test error, nothing cut: ${percent(single[0])}.`;
      const said = [];
      if (off.size === 1) {
        const [block] = off;
        said.push(`Measured test error without ${noun} ${block + first}: ${percent(single[block + first])} (nothing cut: ${percent(single[0])}).`);
      }
      const drawn = random.find(([deleted]) => deleted === off.size);
      if (drawn) {
        const [deleted, low, middle, high, draws] = drawn;
        said.push(`Measured for ${draws} random cuts of ${count(deleted, noun)}: median ${percent(middle)}, quartiles ${percent(low)} and ${percent(high)}.`);
      }
      return said.join(" ") || `This run did not measure ${off.size} ${noun}s cut at once.`;
    }

    function show() {
      for (const [place, button] of buttons.entries()) {
        const block = order[place];
        button.textContent = block + first;
        button.ariaPressed = String(off.has(block));
        button.ariaLabel = `${noun} ${block + first}${keeps[block] ? "" : ", which halves the resolution"}, in stage ${stage(place) + 1}: cut`;
        button.classList.toggle("halving", !keeps[block]);
        button.classList.toggle("moved", block !== place);
        button.classList.toggle("picked", place === picked);
      }
      says("paths", pathsLeft());
      says("measured", measured());
    }

    function update() {
      show();
      inquire();
    }

    /** Ask what the networks say now; answers come image by image. */
    function inquire() {
      turn += 1;
      right = new Map();
      tell();
      ask({ network: number, wiring: order.map((block) => [block, !off.has(block)]), pictures: pictures.map((_, picture) => picture), turn });
    }

    /** How many images are right, once all are known: a screen reader is told once. */
    function tell() {
      const known = right.size === pictures.length;
      view.dataset[`right${number}`] = known ? [...right.values()].filter(Boolean).length : "";
      output.ariaBusy = String(!known);
      if (known) says("right", `${name}: ${view.dataset[`right${number}`]} of ${pictures.length} images right.`);
    }

    function press(place) {
      if (!swaps()) {
        if (!off.delete(order[place])) off.add(order[place]);
      } else if (picked === null) {
        picked = place;
      } else {
        const between = order.slice(Math.min(picked, place), Math.max(picked, place) + 1);
        const alike = between.every((block) => keeps[block]);
        if (alike) [order[picked], order[place]] = [order[place], order[picked]];
        const refused = !alike && picked !== place;
        picked = null;
        if (refused) {
          show();
          return says("measured", `Only ${noun}s of the same shape can trade places.`);
        }
      }
      update();
    }

    row.addEventListener("click", ({ target }) => {
      const place = buttons.indexOf(target);
      if (place >= 0) press(place);
    });
    row.addEventListener("keydown", (event) => {
      const place = buttons.indexOf(document.activeElement);
      const to = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: blocks - 1 }[event.key];
      if (to === undefined || !buttons[to]) return;
      event.preventDefault();
      buttons[place].tabIndex = -1;
      buttons[to].tabIndex = 0;
      buttons[to].focus();
    });
    show();
    return {
      inquire,
      reset() {
        [order, off, picked] = [[...intact], new Set(), null];
        update();
      },
      hear({ picture, turn: of, logits }) {
        if (of !== turn) return; // of a wiring that is no longer the one asked about
        right.set(picture, say(number, picture, logits));
        tell();
      },
    };
  }

  /** The share of the paths of each length that is left: a bar for each length. */
  function chart(blocks) {
    const step = Math.max(5, Math.min(16, Math.floor(320 / (blocks + 1))));
    const [height, width] = [70, Math.max(320, 34 + step * (blocks + 1))];
    const svg = drawn("svg", { class: "left-by-length", viewBox: `0 0 ${width} ${height + 38}`, role: "img" });
    svg.setAttribute("aria-label", "Share of the paths of each length that is left");
    svg.style.maxWidth = `${1.3 * width}px`; // its text stays as large as that around it
    const bars = Array.from({ length: blocks + 1 }, (_, length) => {
      const at = 32 + step * length;
      svg.append(drawn("rect", { class: "all", x: at, y: 4, width: 0.75 * step, height }));
      if (length % Math.ceil(16 / step) === 0) svg.append(drawn("text", { x: at + 0.375 * step, y: height + 17 }, length));
      return svg.appendChild(drawn("rect", { class: "left", x: at, width: 0.75 * step }));
    });
    svg.append(drawn("text", { x: 14, y: 12 }, "100%"), drawn("text", { x: 20, y: height + 4 }, "0"));
    svg.append(drawn("text", { x: width / 2, y: height + 33 }, "path length: share of the paths of each length that is left"));
    return {
      svg,
      show(deleted) {
        let share = 1; // C(n-d, x) / C(n, x), which is 1 for x = 0
        for (const [length, bar] of bars.entries()) {
          bar.setAttribute("height", height * share);
          bar.setAttribute("y", 4 + height * (1 - share));
          bar.dataset.share = share;
          share *= Math.max(0, blocks - deleted - length) / Math.max(1, blocks - length);
        }
      },
    };
  }

  // --- who computes: workers, each with its share of the images; where there can be none, this page between two events ---
  const hear = (answer) => strips[answer.network].hear(answer);
  const many = Math.min(4, navigator.hardwareConcurrency ?? 2);
  const text = `const answer = (${answering})((${networksOf})(), postMessage); onmessage = ({ data }) => answer(data);`;
  let servers = null;
  function started() {
    try {
      const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
      return Array.from({ length: many }, () => {
        const worker = new Worker(address);
        worker.onmessage = ({ data: answer }) => hear(answer);
        return (message) => worker.postMessage(message);
      });
    } catch {
      return [answering(networksOf(), hear)];
    }
  }
  function ask({ pictures: wanted, ...rest }) {
    if (!servers) {
      servers = started();
      for (const serve of servers) serve({ load: data });
    }
    for (const [server, serve] of servers.entries()) {
      serve({ ...rest, pictures: wanted.filter((picture) => picture % servers.length === server) });
    }
  }

  const strips = networks.map(strip);
  view.append(cards);
  view.querySelector(".reset").addEventListener("click", () => strips.forEach(({ reset }) => reset()));
  view.hidden = false;
  // a reader who does not come here costs nothing
  new IntersectionObserver((seen, observer) => {
    if (!seen.some(({ isIntersecting }) => isIntersecting)) return;
    observer.disconnect();
    strips.forEach(({ inquire }) => inquire());
  }, { rootMargin: "400px" }).observe(view);
}

for (const view of all(".cutting")) cutting(view, JSON.parse(document.getElementById("cutting-data").textContent));
