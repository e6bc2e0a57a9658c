// Trained networks, computed from their weights in the page: a wiring goes in, logits come out. The text of both functions is
// what a worker runs, so they use nothing of the page. Values are float64, with which browsers compute fastest.

/** What computes: `load` takes networks and images, `logits(network, picture, wiring)` gives the numbers of the classes. */
function networksOf() {
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const floats = (text) => (text === "none" ? null : Float64Array.from(new Float32Array(bytes(text).buffer)));

  /** A row of the table of weights, multiplied out: weights are (output, input, row, column). steps: of each letter's code. */
  function layer(row, steps) {
    const [scale, taps] = [floats(row.scale), row.size * row.size];
    const weights = new Float64Array(row.weights.length);
    for (let at = 0; at < weights.length; at++) {
      const [output, tap, input] = [Math.floor(at / (taps * row.inputs)), Math.floor(at / row.inputs) % taps, at % row.inputs];
      weights[(output * row.inputs + input) * taps + tap] = steps[row.weights.charCodeAt(at)] * scale[output];
    }
    const norm = row.norm_scale === "none" ? null : { scale: floats(row.norm_scale), shift: floats(row.norm_shift) };
    return { ...row, weights, norm, bias: floats(row.bias) ?? new Float64Array(row.outputs) };
  }

  // --- operations on x: { planes (channel, row, column), channels, height, width } ---
  const like = (x, planes) => ({ ...x, planes });
  const relu = (x) => like(x, x.planes.map((value) => (value > 0 ? value : 0)));
  const sum = (x, y) => like(x, x.planes.map((value, at) => value + y.planes[at]));

  /** Batch normalisation and ReLU. */
  function normed(x, { scale, shift }) {
    const area = x.height * x.width;
    return relu(like(x, x.planes.map((value, at) => value * scale[Math.floor(at / area)] + shift[Math.floor(at / area)])));
  }

  /** With a border of zeros. */
  function bordered({ planes, channels, height, width }) {
    const padded = new Float64Array(channels * (height + 2) * (width + 2));
    for (let row = 0; row < channels * height; row++) {
      const [channel, inside] = [Math.floor(row / height), row % height];
      const to = (channel * (height + 2) + inside + 1) * (width + 2) + 1;
      padded.set(planes.subarray(row * width, (row + 1) * width), to);
    }
    return padded;
  }

  /** A 3x3 convolution. Along a row the window slides, so that of its nine values three are read anew. */
  function convolved3(x, { inputs, outputs, weights, bias }) {
    const { height, width } = x;
    const padded = bordered(x), across = width + 2, area = height * width;
    const planes = new Float64Array(outputs * area);
    for (let output = 0; output < outputs; output++) {
      planes.fill(bias[output], output * area, (output + 1) * area);
      for (let input = 0; input < inputs; input++) {
        const at = (output * inputs + input) * 9; // each value by itself: browsers are slow at taking arrays apart
        const a = weights[at], b = weights[at + 1], c = weights[at + 2];
        const d = weights[at + 3], e = weights[at + 4], f = weights[at + 5];
        const g = weights[at + 6], h = weights[at + 7], i = weights[at + 8];
        for (let row = 0; row < height; row++) {
          const upper = (input * (height + 2) + row) * across;
          const middle = upper + across, lower = middle + across, to = output * area + row * width;
          let a1 = padded[upper], b1 = padded[upper + 1];
          let d1 = padded[middle], e1 = padded[middle + 1];
          let g1 = padded[lower], h1 = padded[lower + 1];
          for (let column = 0; column < width; column++) {
            const c1 = padded[upper + column + 2], f1 = padded[middle + column + 2], i1 = padded[lower + column + 2];
            planes[to + column] += a * a1 + b * b1 + c * c1 + d * d1 + e * e1 + f * f1 + g * g1 + h * h1 + i * i1;
            a1 = b1; b1 = c1; d1 = e1; e1 = f1; g1 = h1; h1 = i1;
          }
        }
      }
    }
    return { planes, channels: outputs, height, width };
  }

  /** A 1x1 convolution; of a single pixel, it is a linear layer. */
  function convolved1(x, { inputs, outputs, weights, bias }) {
    const area = x.height * x.width;
    const planes = new Float64Array(outputs * area);
    for (let output = 0; output < outputs; output++) {
      for (let at = 0; at < area; at++) {
        let value = bias[output];
        for (let input = 0; input < inputs; input++) value += weights[output * inputs + input] * x.planes[input * area + at];
        planes[output * area + at] = value;
      }
    }
    return { planes, channels: outputs, height: x.height, width: x.width };
  }

  /** Every `stride`-th pixel of each row and column. */
  function thinned(x, stride) {
    if (stride === 1) return x;
    const [height, width] = [Math.ceil(x.height / stride), Math.ceil(x.width / stride)];
    const from = (at) => (Math.floor(at / width) * x.width + (at % width)) * stride; // as long as heights are multiples
    const planes = new Float64Array(x.channels * height * width);
    for (let channel = 0, to = 0; channel < x.channels; channel++) {
      for (let at = 0; at < height * width; at++, to++) planes[to] = x.planes[channel * x.height * x.width + from(at)];
    }
    return { planes, channels: x.channels, height, width };
  }

  /** 2x2 max pooling. */
  function pooled(x) {
    const cells = { ...x, height: x.height - (x.height % 2), width: x.width - (x.width % 2) };
    const [height, width] = [cells.height / 2, cells.width / 2];
    const planes = new Float64Array(x.channels * height * width);
    for (let channel = 0, to = 0; channel < x.channels; channel++) {
      for (let row = 0; row < height; row++) {
        for (let column = 0; column < width; column++, to++) {
          const at = (channel * x.height + 2 * row) * x.width + 2 * column;
          const next = at + x.width;
          planes[to] = Math.max(x.planes[at], x.planes[at + 1], x.planes[next], x.planes[next + 1]);
        }
      }
    }
    return { planes, channels: x.channels, height, width };
  }

  const convolved = (x, of) =>
    of.size === 1 ? convolved1(thinned(x, of.stride), of) : thinned(convolved3(x, of), of.stride);

  // --- networks ---
  function loaded({ layers, blocks }, steps) {
    const parts = Array.from({ length: blocks + 2 }, () => ({}));
    for (const row of layers) parts[row.block][row.part] = layer(row, steps);
    return { stem: parts[0].stem, blocks: parts.slice(1, -1), head: parts.at(-1).head, plain: "layer" in parts[1], kept: [] };
  }

  /** What a block makes of x: a residual block adds its branch to its skip connection, a plain layer takes its place. */
  function passed({ plain }, { layer, branch1, branch2, skip }, on, x) {
    if (plain) {
      const y = on ? relu(convolved(x, layer)) : x;
      return layer.pooled ? pooled(y) : y;
    }
    const kept = skip ? convolved(x, skip) : x;
    return on ? sum(kept, convolved(relu(convolved(normed(x, branch1.norm), branch1)), branch2)) : kept;
  }

  function begun({ plain, stem }, image) {
    const x = convolved(image, stem);
    if (!plain) return x;
    return stem.pooled ? pooled(relu(x)) : relu(x);
  }

  function ended({ head }, x) {
    const [y, area] = [head.norm ? normed(x, head.norm) : x, x.height * x.width];
    const means = Float64Array.from({ length: x.channels }, (_, channel) =>
      y.planes.subarray(channel * area, (channel + 1) * area).reduce((total, value) => total + value, 0) / area);
    return [...convolved1({ planes: means, channels: x.channels, height: 1, width: 1 }, head).planes];
  }

  let known = { networks: [], images: [] };
  return {
    load({ letters, networks, pictures, shape: [height, width, channels], mean, std }) {
      const images = pictures.map(({ pixels }) => {
        const [values, area] = [bytes(pixels), height * width];
        const planes = Float64Array.from({ length: channels * area }, (_, at) => {
          const channel = Math.floor(at / area);
          return (values[(at % area) * channels + channel] / 255 - mean[channel]) / std[channel];
        });
        return { planes, channels, height, width };
      });
      const steps = new Int8Array(128);
      [...letters].forEach((letter, at) => (steps[letter.charCodeAt(0)] = at - (letters.length - 1) / 2));
      known = { networks: networks.map((network) => loaded(network, steps)), images };
    },
    /** wiring: [block, whether it is on], in the order they are passed. What comes before the first change is kept. */
    logits(number, picture, wiring) {
      const network = known.networks[number];
      const kept = (network.kept[picture] ??= { wiring: [], values: [begun(network, known.images[picture])] });
      let same = 0;
      const alike = (one, other) => one && other && one[0] === other[0] && one[1] === other[1];
      while (same < wiring.length && alike(kept.wiring[same], wiring[same])) same += 1;
      kept.values.length = same + 1;
      for (const [block, on] of wiring.slice(same)) {
        kept.values.push(passed(network, network.blocks[block], on, kept.values.at(-1)));
      }
      kept.wiring = wiring;
      return ended(network, kept.values.at(-1));
    },
  };
}

/** What answers messages: { load } once, then { network, wiring, pictures, turn }. A later one about a network replaces those
    before it. Each image is answered by itself, and between two of them there is time for other messages. */
function answering(computing, answer) {
  let waiting = [];
  let busy = false;
  function next() {
    busy = waiting.length > 0;
    if (!busy) return;
    const { network, wiring, picture, turn } = waiting.shift();
    answer({ network, picture, turn, logits: computing.logits(network, picture, wiring) });
    setTimeout(next);
  }
  return ({ load, network, wiring, pictures, turn }) => {
    if (load) return computing.load(load);
    waiting = waiting.filter((job) => job.network !== network);
    for (const picture of pictures) waiting.push({ network, wiring, picture, turn });
    if (!busy) next();
  };
}
