"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const NAMESPACE = "http://www.w3.org/2000/svg";
  const CLASSES = 6;
  const PLOT_HEIGHT = 22;
  const BAR_HEIGHT = 14;
  /* Thinner bars do not show. */
  const LEAST_WIDTH = 1.5;
  const byId = (id) => document.getElementById(id);
  const count = (value) => value.toLocaleString("en-US");
  const counted = (value, noun) => `${count(value)} ${noun}${value === 1 ? "" : "s"}`;

  const shown = { begin: 0, end: data.length, colorBy: data.colorBy };
  const rows = data.rows.map((row) => ({ ...row, visible: false, stale: true, drawn: [] }));
  let width = 0;
  /* The bar that a hint is for: a row, and the index of the first bar in what is drawn. */
  let chosen = null;

  function element(name, className, text) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  /* Markup of shapes is made of numbers and of class names of this script only. */
  function shapes(svg, markup) {
    svg.innerHTML = markup;
  }

  const number = (value) => (Number.isFinite(value) ? value.toFixed(1) : "0");
  const rect = (className, x, y, w, h) =>
    `<rect class="${className}" x="${number(x)}" y="${number(y)}" width="${number(w)}" height="${number(h)}"/>`;
  const line = (className, x1, x2, y1, y2) =>
    `<line class="${className}" x1="${number(x1)}" x2="${number(x2)}" y1="${number(y1)}" y2="${number(y2)}"/>`;

  /* Numbers and times in words. */
  function short(value, units, space) {
    let unit = 0;
    while (value >= 999.5 && unit + 1 < units.length) {
      value /= 1000;
      unit += 1;
    }
    return `${value.toFixed(unit > 0 && value < 9.95 ? 1 : 0)}${space}${units[unit]}`;
  }
  const bytes = (value) => short(value, ["B", "kB", "MB", "GB", "TB", "PB"], " ");
  function age(seconds) {
    const units = [[31557600, "y"], [86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
    const [length, unit] = units.find(([least]) => seconds >= least) || [1, "s"];
    return `${Math.floor(seconds / length)} ${unit}`;
  }
  const measured = {
    rows: (value) => short(value, ["", "k", "M", "G", "T", "P"], ""),
    bytes,
    age,
  };
  function time(at) {
    const millis = data.origin + at;
    const whole = Math.floor(millis);
    const date = new Date(whole);
    if (Number.isNaN(date.getTime())) return "a time that no calendar has";
    const micros = Math.round((millis - whole) * 1000) % 1000;
    const text = date.toISOString();
    if (micros > 0) return text.replace("Z", `${String(micros).padStart(3, "0")}Z`);
    return text.replace(".000Z", "Z");
  }
  const range = (begin, length) => `${time(begin)} to ${time(begin + length)}`;

  /* What a colour goes by. */
  function value(row, i) {
    if (shown.colorBy === "age") return Math.max(1, (data.now - row.written[i]) / 1000);
    return row[shown.colorBy][i];
  }
  function shade(row, i) {
    if (row.rows[i] === 0) return 0;
    const [low, high] = data.scales[shown.colorBy];
    const wanted = value(row, i);
    if (wanted < 1) return 0;
    if (high <= low) return CLASSES;
    const step = Math.log(high / low) / CLASSES;
    return 1 + Math.min(CLASSES - 1, Math.max(0, Math.floor(Math.log(wanted / low) / step)));
  }

  const scale = () => width / (shown.end - shown.begin);
  const x = (at) => (at - shown.begin) * scale();

  /* A row's bars as they are drawn: those that share a pixel are one. */
  function layOut(row) {
    const k = scale();
    const lanes = row.lanes || 1;
    const height = BAR_HEIGHT / lanes;
    const drawn = [];
    let last = null;
    for (let i = 0; i < row.begin.length; i += 1) {
      const x0 = (row.begin[i] - shown.begin) * k;
      const x1 = x0 + row.length[i] * k;
      if (x1 < -1 || x0 > width + 1) continue;
      const lane = row.lane ? row.lane[i] : 0;
      const thin = x1 - x0 < 1;
      if (last && thin && last.thin && last.lane === lane && Math.floor(x0) === Math.floor(last.x0)) {
        last.last = i;
        last.x1 = Math.max(last.x1, x1);
        last.planned = last.planned || Boolean(row.planned && row.planned[i] > 0);
        last.shade = Math.max(last.shade, shade(row, i));
        continue;
      }
      last = { first: i, last: i, x0, x1, lane, thin, shade: shade(row, i), planned: Boolean(row.planned && row.planned[i] > 0) };
      last.y = (PLOT_HEIGHT - BAR_HEIGHT) / 2 + lane * height;
      last.height = height;
      drawn.push(last);
    }
    return drawn;
  }

  function draw(row) {
    row.stale = false;
    row.drawn = layOut(row);
    let markup = "";
    for (const tick of ticks()) markup += line("tick", x(tick.at), x(tick.at), 0, PLOT_HEIGHT);
    for (let i = 0; row.gaps && i < row.gaps.length; i += 2) {
      const [x0, x1] = [x(row.gaps[i]), x(row.gaps[i] + row.gaps[i + 1])];
      if (x1 > 0 && x0 < width && x1 - x0 >= 1) {
        markup += line("gap", Math.max(0, x0), Math.min(width, x1), PLOT_HEIGHT / 2, PLOT_HEIGHT / 2);
      }
    }
    for (const bar of row.drawn) {
      const x0 = Math.max(-4, bar.x0);
      const w = Math.max(LEAST_WIDTH, Math.min(width + 4, bar.x1) - x0);
      markup += rect(`bar c${bar.shade}`, x0, bar.y, w, bar.height);
      if (bar.planned) markup += rect("planned", x0, bar.y, w, bar.height);
    }
    for (let i = 0; row.overlaps && i < row.overlaps.length; i += 2) {
      const [x0, x1] = [x(row.overlaps[i]), x(row.overlaps[i] + row.overlaps[i + 1])];
      if (x1 >= 0 && x0 <= width) markup += rect("overlap", Math.max(0, x0), PLOT_HEIGHT - 3, Math.max(3, Math.min(width, x1) - Math.max(0, x0)), 2.5);
    }
    shapes(row.plot, markup);
    mark(row);
  }

  /* Frames the chosen bar, where the row has it. */
  function mark(row) {
    const before = row.plot.querySelector(".chosen");
    if (before) before.remove();
    if (!chosen || chosen.row !== row) return;
    const bar = row.drawn.find((drawn) => drawn.first <= chosen.index && chosen.index <= drawn.last);
    if (!bar) return;
    const frame = document.createElementNS(NAMESPACE, "rect");
    frame.setAttribute("class", "chosen");
    frame.setAttribute("x", number(bar.x0 - 2));
    frame.setAttribute("y", number(bar.y - 2));
    frame.setAttribute("width", number(Math.max(LEAST_WIDTH, bar.x1 - bar.x0) + 4));
    frame.setAttribute("height", number(bar.height + 4));
    row.plot.append(frame);
  }

  /* Draws what is on the screen now, and the rest when it gets there. */
  let waiting = false;
  function drawAll() {
    for (const row of rows) row.stale = true;
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      width = byId("axis").clientWidth;
      drawAxis();
      for (const row of rows) if (row.visible && row.stale) draw(row);
    });
  }

  /* Marks of the axis, at round times of UTC. */
  const SECOND = 1000;
  const MINUTE = 60 * SECOND;
  const HOUR = 60 * MINUTE;
  const DAY = 24 * HOUR;
  const STEPS = [1, 10, 100, SECOND, 5 * SECOND, 15 * SECOND, 30 * SECOND, MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY];
  const MONTH_STEPS = [1, 3, 6, 12, 24, 60, 120, 600, 1200, 6000, 12000, 60000, 600000];
  function ticks() {
    const begin = data.origin + shown.begin;
    const end = data.origin + shown.end;
    const least = (end - begin) / Math.max(1, Math.floor(width / 95));
    const step = STEPS.find((length) => length >= least);
    const found = [];
    const add = (millis, label) => {
      if (millis >= begin && millis <= end) found.push({ at: millis - data.origin, label });
    };
    if (step) {
      const shift = step % (7 * DAY) === 0 ? 4 * DAY : 0;
      for (let at = Math.ceil((begin - shift) / step) * step + shift; at <= end && found.length < 200; at += step) {
        add(at, tickLabel(at, step));
      }
      return found;
    }
    const months = MONTH_STEPS.find((length) => length * 28 * DAY >= least) || MONTH_STEPS[MONTH_STEPS.length - 1];
    const first = new Date(begin);
    let month = Math.floor((first.getUTCFullYear() * 12 + first.getUTCMonth()) / months) * months;
    for (let tries = 0; tries < 200; tries += 1, month += months) {
      const date = new Date(0);
      date.setUTCFullYear(Math.floor(month / 12), ((month % 12) + 12) % 12, 1);
      if (Number.isNaN(date.getTime()) || date.getTime() > end) break;
      add(date.getTime(), date.toISOString().replace(/-01T.*/, "").replace(months >= 12 ? /-01$/ : /$^/, ""));
    }
    return found;
  }
  function tickLabel(at, step) {
    const date = new Date(at);
    if (Number.isNaN(date.getTime())) return "";
    const text = date.toISOString();
    const day = text.slice(0, -14);
    if (step >= DAY) return day;
    if (at % DAY === 0) return day.slice(-5);
    if (step >= MINUTE) return text.slice(-13, -8);
    if (step >= SECOND) return text.slice(-13, -5);
    return text.slice(-10, -1);
  }
  function drawAxis() {
    const axis = byId("axis");
    axis.replaceChildren();
    for (const tick of ticks()) {
      const text = document.createElementNS(NAMESPACE, "text");
      const half = tick.label.length * 3.4;
      text.setAttribute("x", number(Math.min(width - half, Math.max(half, x(tick.at)))));
      text.setAttribute("y", "16");
      text.textContent = tick.label;
      axis.append(text);
      const mark = document.createElementNS(NAMESPACE, "line");
      for (const [name, at] of [["x1", x(tick.at)], ["x2", x(tick.at)], ["y1", 21], ["y2", 26]]) mark.setAttribute(name, number(at));
      mark.setAttribute("class", "tick");
      axis.append(mark);
    }
    const minutes = (at) => time(Math.round(at)).replace("T", " ").replace(/:\d\d(\.\d+)?Z$/, "");
    byId("axis-name").textContent = `${data.axis} (UTC)`;
    byId("range").textContent = `${minutes(shown.begin)} to ${minutes(shown.end)} UTC`;
  }

  /* What a hint says of the bars from one index to another. */
  function details(row, bar) {
    let [partitions, planned, rowsIn, size] = [0, 0, 0, 0];
    let [begin, end, written] = [Infinity, -Infinity, Infinity];
    let [otherBegin, otherEnd] = [Infinity, -Infinity];
    for (let i = bar.first; i <= bar.last; i += 1) {
      partitions += row.partitions ? row.partitions[i] : 1;
      planned += row.planned ? row.planned[i] : 0;
      rowsIn += row.rows[i];
      size += row.bytes[i];
      begin = Math.min(begin, row.begin[i]);
      end = Math.max(end, row.begin[i] + row.length[i]);
      written = Math.min(written, row.written[i]);
      if (row.otherBegin[i] !== null) {
        otherBegin = Math.min(otherBegin, row.otherBegin[i]);
        otherEnd = Math.max(otherEnd, row.otherBegin[i] + row.otherLength[i]);
      }
    }
    const lines = [`${row.viewSet} / ${row.instance}`];
    if (partitions > 1) lines.push(`${counted(partitions, "partition")} close together`);
    lines.push(`${data.axis} ${range(begin, end - begin)}`);
    if (otherBegin <= otherEnd) lines.push(`${data.otherAxis} ${range(otherBegin, otherEnd - otherBegin)}`);
    lines.push(`${counted(rowsIn, "row")}, ${bytes(size)}`);
    const oldest = partitions > 1 ? ", the oldest of them" : "";
    lines.push(`written ${time(written)}, ${age(Math.max(0, (data.now - written) / 1000))} before this page${oldest}`);
    if (row.file && bar.first === bar.last && row.file[bar.first]) lines.push(row.file[bar.first]);
    let plan = null;
    if (planned > 0) plan = planned === partitions ? "planned to be retired" : `${count(planned)} of them planned to be retired`;
    return { lines, plan };
  }

  function choose(row, bar, at, speak) {
    const before = chosen && chosen.row;
    chosen = bar ? { row, index: bar.first } : null;
    if (before) mark(before);
    if (row) mark(row);
    const hint = byId("hint");
    hint.replaceChildren();
    if (!bar) {
      hint.hidden = true;
      return;
    }
    const { lines, plan } = details(row, bar);
    for (const text of lines) hint.append(element("p", "", text));
    if (plan) hint.append(element("p", "planned-note", plan));
    hint.hidden = false;
    const box = hint.getBoundingClientRect();
    const left = Math.max(8, Math.min(at.x + 12, window.innerWidth - box.width - 8));
    const below = at.y + 18;
    const top = below + box.height > window.innerHeight - 4 ? Math.max(4, at.y - box.height - 12) : below;
    hint.style.left = `${left}px`;
    hint.style.top = `${top}px`;
    if (speak) byId("said").textContent = lines.concat(plan ? [plan] : []).join(". ");
  }

  /* The bar at a place of a plot, or the nearest within a few pixels: thin ones are hard to hit. */
  function barAt(row, place) {
    const box = row.plot.getBoundingClientRect();
    const [px, py] = [place.clientX - box.left, place.clientY - box.top];
    let found = null;
    let nearest = 5;
    for (const bar of row.drawn) {
      const outside = Math.max(bar.x0 - px, px - Math.max(bar.x1, bar.x0 + LEAST_WIDTH), 0);
      const beside = Math.max(bar.y - py, py - bar.y - bar.height, 0);
      const distance = outside + (row.lanes > 1 ? beside / 2 : 0);
      if (distance < nearest) {
        nearest = distance;
        found = bar;
      }
    }
    return found;
  }

  function show(begin, end) {
    const least = Math.max(data.length / 1e6, 0.01);
    const length = Math.min(data.length, Math.max(least, end - begin));
    const middle = (begin + end) / 2;
    shown.begin = Math.min(data.length - length, Math.max(0, middle - length / 2));
    shown.end = shown.begin + length;
    drawAll();
  }
  function zoom(factor, around) {
    show(around - (around - shown.begin) * factor, around + (shown.end - around) * factor);
  }
  const middle = () => (shown.begin + shown.end) / 2;
  function zoomAtChosen(factor) {
    const at = chosen ? chosen.row.begin[chosen.index] : middle();
    zoom(factor, at >= shown.begin && at <= shown.end ? at : middle());
  }
  function move(share) {
    const by = (shown.end - shown.begin) * share;
    const kept = Math.max(-shown.begin, Math.min(data.length - shown.end, by));
    show(shown.begin + kept, shown.end + kept);
  }

  /* Pointers: hints, dragging, zooming. */
  function watchPlot(row) {
    let drag = null;
    const plot = row.plot;
    plot.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      drag = { x: event.clientX, begin: shown.begin, end: shown.end, moved: false };
      plot.setPointerCapture(event.pointerId);
    });
    plot.addEventListener("pointermove", (event) => {
      if (drag && (drag.moved || Math.abs(event.clientX - drag.x) > 3)) {
        drag.moved = true;
        plot.classList.add("dragged");
        const by = (drag.x - event.clientX) / scale();
        const kept = Math.max(-drag.begin, Math.min(data.length - drag.end, by));
        choose(row, null);
        show(drag.begin + kept, drag.end + kept);
        return;
      }
      choose(row, barAt(row, event), { x: event.clientX, y: event.clientY }, false);
    });
    const release = (event) => {
      plot.classList.remove("dragged");
      if (drag && !drag.moved && event.type === "pointerup") {
        choose(row, barAt(row, event), { x: event.clientX, y: event.clientY }, true);
      }
      drag = null;
    };
    plot.addEventListener("pointerup", release);
    plot.addEventListener("pointercancel", release);
    plot.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse" && !drag) choose(row, null);
    });
    plot.addEventListener("dblclick", (event) => zoom(0.5, timeAt(row, event)));
    plot.addEventListener("wheel", (event) => {
      if (event.ctrlKey || event.metaKey) {
        event.preventDefault();
        zoom(event.deltaY > 0 ? 1.25 : 0.8, timeAt(row, event));
      } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        event.preventDefault();
        move((event.deltaX || event.deltaY) / 1000);
      }
    }, { passive: false });
  }
  const timeAt = (row, event) => shown.begin + (event.clientX - row.plot.getBoundingClientRect().left) / scale();

  /* Keys, on a row that has the focus. */
  const matching = () => rows.filter((row) => !row.element.hidden && row.section.open);
  function takeTabStop(row) {
    for (const other of rows) other.element.tabIndex = other === row ? 0 : -1;
  }
  function focusRow(row) {
    row.element.focus();
    row.element.scrollIntoView({ block: "nearest" });
  }
  function stepRow(row, by) {
    const all = matching();
    const next = all[all.indexOf(row) + by];
    if (next) focusRow(next);
  }
  function stepBar(row, by) {
    /* A row that was out of sight a moment ago. */
    if (row.stale) draw(row);
    const bars = [...row.drawn].sort((a, b) => a.x0 - b.x0 || a.lane - b.lane);
    if (bars.length === 0) return;
    const at = chosen && chosen.row === row ? bars.findIndex((bar) => bar.first <= chosen.index && chosen.index <= bar.last) : -1;
    let next = at + by;
    if (at < 0 && Number.isFinite(by)) next = by > 0 ? 0 : bars.length - 1;
    chooseInView(row, bars[Math.max(0, Math.min(bars.length - 1, next))]);
  }
  function chooseInView(row, bar) {
    const box = row.plot.getBoundingClientRect();
    choose(row, bar, { x: box.left + Math.max(0, Math.min(width, (bar.x0 + bar.x1) / 2)), y: box.top + PLOT_HEIGHT / 2 }, true);
  }
  function zoomToChosen() {
    if (!chosen) return;
    const { row, index } = chosen;
    const length = Math.max(row.length[index] * 3, (shown.end - shown.begin) / 20);
    const at = row.begin[index] + row.length[index] / 2;
    show(at - length / 2, at + length / 2);
    choose(row, null);
    chosen = { row, index };
  }
  function rowKey(row, event) {
    const acts = {
      ArrowDown: () => stepRow(row, 1),
      ArrowUp: () => stepRow(row, -1),
      ArrowRight: () => (event.shiftKey ? move(0.25) : stepBar(row, 1)),
      ArrowLeft: () => (event.shiftKey ? move(-0.25) : stepBar(row, -1)),
      Home: () => stepBar(row, -Infinity),
      End: () => stepBar(row, Infinity),
      Enter: zoomToChosen,
    };
    if (event.ctrlKey || event.metaKey || event.altKey || !acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      if (chosen) choose(chosen.row, null);
      return;
    }
    const typing = event.target instanceof Element && event.target.closest("input, select");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const acts = {
      "+": () => zoomAtChosen(0.5),
      "=": () => zoomAtChosen(0.5),
      "-": () => zoomAtChosen(2),
      0: () => show(0, data.length),
      "/": () => byId("filter").focus(),
    };
    if (!acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  });

  /* The rows, once; what they show is drawn when they are seen. */
  function sum(row, name) {
    return row[name] ? row[name].reduce((all, one) => all + one, 0) : 0;
  }
  function build() {
    const observer = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        const row = rows[Number(entry.target.dataset.index)];
        row.visible = entry.isIntersecting;
        if (row.visible && row.stale && width > 0) draw(row);
      }
    }, { rootMargin: "300px" });
    let section = null;
    let name = null;
    rows.forEach((row, index) => {
      if (!section || name !== row.viewSet) {
        name = row.viewSet;
        section = element("details");
        section.open = true;
        section.rows = [];
        section.append(element("summary", "", row.viewSet));
        section.addEventListener("toggle", drawAll);
        byId("rows").append(section);
      }
      section.rows.push(row);
      row.section = section;
      buildRow(row, index);
      section.append(row.element);
      observer.observe(row.element);
    });
    for (const made of byId("rows").children) {
      made.firstChild.append(element("small", "", ` ${counted(made.rows.length, "line")}`));
    }
    if (rows.length > 0) rows[0].element.tabIndex = 0;
  }
  function buildRow(row, index) {
    const partitions = (row.partitions ? sum(row, "partitions") : row.begin.length) + (row.undrawn || 0);
    const planned = sum(row, "planned");
    row.hasPlanned = planned > 0;
    row.text = `${row.viewSet}/${row.instance}`.toLowerCase();
    row.element = element("div", "row");
    row.element.dataset.index = index;
    row.element.tabIndex = -1;
    row.element.setAttribute("role", "group");
    const notes = [`${row.viewSet}, ${row.instance}`, counted(partitions, "partition"), counted(sum(row, "rows"), "row"), bytes(sum(row, "bytes"))];
    if (row.gaps) notes.push(counted(row.gaps.length / 2, "gap"));
    if (row.overlaps) notes.push(counted(row.overlaps.length / 2, "overlap"));
    if (row.undrawn) notes.push(`${count(row.undrawn)} without ${data.axis}`);
    if (planned) notes.push(`${count(planned)} planned to be retired`);
    row.element.setAttribute("aria-label", notes.join(", "));
    const label = element("div", row.shared ? "label shared" : "label", row.instance);
    label.title = notes.join("\n");
    row.plot = document.createElementNS(NAMESPACE, "svg");
    row.plot.setAttribute("class", "plot");
    row.plot.setAttribute("aria-hidden", "true");
    const numbers = element("div", "numbers", `${count(partitions)} · ${measured.rows(sum(row, "rows"))} rows · ${bytes(sum(row, "bytes"))}`);
    row.element.append(label, row.plot, numbers);
    row.element.addEventListener("keydown", (event) => rowKey(row, event));
    row.element.addEventListener("focus", () => {
      takeTabStop(row);
      byId("said").textContent = "";
    });
    watchPlot(row);
  }

  function filter() {
    const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const plannedOnly = byId("planned-only").checked;
    let found = 0;
    for (const row of rows) {
      const matches = words.every((word) => row.text.includes(word)) && (!plannedOnly || row.hasPlanned);
      row.element.hidden = !matches;
      found += matches ? 1 : 0;
    }
    for (const section of byId("rows").children) section.hidden = section.rows.every((row) => row.element.hidden);
    byId("none").hidden = found > 0;
    byId("shown").textContent = found === rows.length ? counted(found, "line") : `${count(found)} of ${counted(rows.length, "line")}`;
    const stop = rows.find((row) => row.element.tabIndex === 0);
    const all = matching();
    if (all.length > 0 && !all.includes(stop)) {
      takeTabStop(all[0]);
    }
    choose(null, null);
  }

  function legend() {
    const list = byId("legend");
    list.replaceChildren();
    const add = (markup, text) => {
      const item = element("li");
      const svg = document.createElementNS(NAMESPACE, "svg");
      svg.setAttribute("aria-hidden", "true");
      shapes(svg, markup);
      item.append(svg, element("span", "", text));
      list.append(item);
    };
    const swatch = (className) => rect(className, 1, 1, 20, 12);
    const [low, high] = data.scales[shown.colorBy];
    add(swatch("bar c0"), "no rows");
    const step = Math.log(high / low) / CLASSES;
    for (let shade = high > low ? 1 : CLASSES; shade <= CLASSES; shade += 1) {
      const least = measured[shown.colorBy](low * Math.exp(step * (shade - 1)));
      add(swatch(`bar c${shade}`), `${shade === 1 ? `${shown.colorBy} ` : ""}≥ ${least}`);
    }
    if (rows.some((row) => row.gaps)) add(line("gap", 1, 21, 7, 7), "gap");
    if (rows.some((row) => row.overlaps)) add(rect("overlap", 1, 6, 20, 2.5), "overlap");
    if (data.planned > 0) add(swatch("bar c3") + swatch("planned"), "planned to be retired");
  }

  /* The pattern of what is planned, once for all drawings. */
  function hatch() {
    const svg = document.createElementNS(NAMESPACE, "svg");
    svg.setAttribute("class", "defs");
    svg.setAttribute("aria-hidden", "true");
    shapes(svg, '<defs><pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="hatch" width="2" height="5"/></pattern></defs>');
    document.body.append(svg);
  }

  hatch();
  build();
  byId("color-by").value = shown.colorBy;
  byId("planned-only-label").hidden = data.planned === 0;
  byId("color-by").addEventListener("change", (event) => {
    shown.colorBy = event.target.value;
    legend();
    drawAll();
  });
  byId("filter").addEventListener("input", filter);
  byId("planned-only").addEventListener("change", filter);
  byId("zoom-in").addEventListener("click", () => zoomAtChosen(0.5));
  byId("zoom-out").addEventListener("click", () => zoomAtChosen(2));
  byId("earlier").addEventListener("click", () => move(-0.25));
  byId("later").addEventListener("click", () => move(0.25));
  byId("whole").addEventListener("click", () => show(0, data.length));
  new ResizeObserver(drawAll).observe(byId("axis"));
  legend();
  filter();
  drawAll();
})();
