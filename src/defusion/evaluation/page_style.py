"""The style sheet and the script of the page, both inline in it."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fbfaf8; --card: #ffffff; --ink: #1c1d1f; --quiet: #62656b; --rule: #dedcd7;
  --up: #2f6f8f; --down: #b4532a; --mark: #8a5a00; --mark-paper: #fdf1d8;
  --text: "Charter", "Bitstream Charter", "Iowan Old Style", "Source Serif 4", Georgia, serif;
  --figures: system-ui, -apple-system, "Segoe UI", "Helvetica Neue", "Liberation Sans", Arial, sans-serif;
  --code: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #16181b; --card: #1e2125; --ink: #e6e4df; --quiet: #9a9ea6; --rule: #34383e;
    --up: #76b4d3; --down: #e08a5f; --mark: #f0c674; --mark-paper: #3a2f17;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 17px/1.55 var(--text); }
main { max-width: 1080px; margin: 0 auto; padding: 40px 20px 72px; }
h1, h2, h3 { line-height: 1.2; font-weight: 600; text-wrap: balance; }
h1 { font-size: 34px; margin: 0 0 4px; }
h2 { font-size: 26px; margin: 0; }
h3 { font-size: 19px; margin: 36px 0 12px; }
p { margin: 8px 0; max-width: 70ch; }
a { color: inherit; text-decoration-color: var(--quiet); text-underline-offset: 3px; }
code { font: 0.85em/1.4 var(--code); overflow-wrap: anywhere; }
.quiet, figcaption, caption, dt { color: var(--quiet); }
section { margin-top: 64px; padding-top: 28px; border-top: 1px solid var(--rule); }
section.summary { margin-top: 28px; padding-top: 0; border: 0; }

.scroll { overflow-x: auto; margin: 24px 0 8px; }
table { border-collapse: collapse; font: 14px/1.45 var(--figures); font-variant-numeric: tabular-nums; width: 100%; }
caption { text-align: left; font: italic 16px/1.4 var(--text); padding-bottom: 8px; }
th, td { text-align: left; padding: 7px 18px 7px 0; border-bottom: 1px solid var(--rule); vertical-align: baseline; }
th { font-weight: 500; color: var(--quiet); }
thead th { border-bottom-color: var(--quiet); }
tbody th { color: var(--ink); white-space: nowrap; }
.number { text-align: right; white-space: nowrap; }
th:last-child, td:last-child { padding-right: 0; }
.plus { color: var(--up); font-weight: 600; }
.minus { color: var(--down); font-weight: 600; }

.label {
  display: inline-block; white-space: nowrap; font: 600 12px/1.3 var(--figures); letter-spacing: 0.02em;
  color: var(--mark); background: var(--mark-paper);
  border: 1px solid currentColor; border-radius: 3px; padding: 2px 7px;
}
.warning {
  font: 15px/1.45 var(--figures); color: var(--mark); background: var(--mark-paper);
  border-left: 4px solid currentColor; padding: 10px 14px; margin: 16px 0; max-width: none;
}
.scores { display: flex; flex-wrap: wrap; gap: 12px 40px; margin: 20px 0; font-family: var(--figures); }
.scores dt { font-size: 13px; }
.scores dd { margin: 0; font-size: 22px; font-variant-numeric: tabular-nums; }
.scores dd small { font-size: 14px; color: var(--quiet); }

.chart { margin: 28px 0 0; }
.plot { position: relative; height: 190px; margin: 10px 80px 8px 44px; }
.plot svg { display: block; width: 100%; height: 100%; overflow: visible; }
.plot line { vector-effect: non-scaling-stroke; stroke: var(--rule); stroke-width: 1; }
.plot .zero { stroke: var(--quiet); }
.plot .average { stroke: var(--ink); stroke-dasharray: 4 4; }
.plot rect { fill: var(--up); opacity: 0.38; }
.plot rect.down { fill: var(--down); }
.plot rect.shown, .plot rect:hover { opacity: 1; }
.tick, .mean { position: absolute; font: 12px/1 var(--figures); font-variant-numeric: tabular-nums; }
.tick, .mean { transform: translateY(-50%); }
.tick { right: calc(100% + 8px); color: var(--quiet); }
.mean { left: calc(100% + 8px); white-space: nowrap; }
figcaption { font: 13px/1.4 var(--figures); }

.picture {
  background: var(--card); border: 1px solid var(--rule); border-radius: 6px; padding: 16px; margin: 0 0 20px;
}
.picture header { display: flex; flex-wrap: wrap; gap: 2px 24px; align-items: baseline; margin-bottom: 12px; }
.picture header p { margin: 0; font: 14px/1.4 var(--figures); font-variant-numeric: tabular-nums; }
.picture .gain { margin-left: auto; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 10px; }
.pair > div, .crops > figure { margin: 0; min-width: 0; }
.frame { position: relative; overflow: hidden; border-radius: 3px; }
.frame img { display: block; width: 100%; height: auto; user-select: none; -webkit-user-select: none; }
.compare { --cut: 50%; cursor: ew-resize; touch-action: pan-y; }
.compare .before { position: absolute; inset: 0; clip-path: inset(0 calc(100% - var(--cut)) 0 0); }
.compare .divider {
  position: absolute; top: 0; bottom: 0; left: var(--cut); width: 2px; margin-left: -1px;
  background: #fff; box-shadow: 0 0 3px rgb(0 0 0 / 0.6);
}
.compare .divider::after {
  content: "\\2194"; position: absolute; top: 50%; left: 50%; width: 32px; height: 32px; margin: -16px;
  border-radius: 50%; background: #fff; color: #1c1d1f; font: 18px/32px var(--figures); text-align: center;
  box-shadow: 0 1px 4px rgb(0 0 0 / 0.5);
}
.compare input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0; pointer-events: none; }
.compare:focus-within { outline: 3px solid var(--up); outline-offset: 2px; }
.chip {
  position: absolute; top: 8px; padding: 2px 8px; border-radius: 3px; pointer-events: none;
  background: rgb(20 20 20 / 0.72); color: #fff; font: 12px/1.5 var(--figures);
}
.chip.left { left: 8px; }
.chip.right { right: 8px; }
.spot {
  position: absolute; border: 1.5px solid #fff; outline: 1.5px solid rgb(0 0 0 / 0.7); pointer-events: none;
}
.crops { display: grid; grid-template-columns: repeat(3, 256px) 1fr; gap: 10px; margin-top: 10px; }
.crops img { display: block; width: 100%; height: auto; border-radius: 3px; }
.crops figcaption { margin-top: 5px; }
.place { margin: 0 0 0 8px; font: 13px/1.4 var(--figures); color: var(--quiet); max-width: none; }

.facts { display: grid; grid-template-columns: max-content 1fr; gap: 6px 20px; margin: 28px 0 0; font-size: 15px; }
.facts dd { margin: 0; max-width: 75ch; overflow-wrap: anywhere; }

@media (min-width: 1081px) { .crops img { image-rendering: pixelated; } }
@media (max-width: 1080px) {
  .crops { grid-template-columns: repeat(3, minmax(0, 256px)); }
  .place { grid-column: 1 / -1; margin: 0; }
}
@media (max-width: 640px) {
  main { padding: 24px 14px 48px; }
  th, td { padding-right: 14px; }
  h1 { font-size: 28px; }
  section { margin-top: 44px; }
  .pair { grid-template-columns: 1fr; }
  .picture { padding: 12px; }
  .picture .gain { margin-left: 0; }
  .crops { gap: 6px; }
  .plot { height: 150px; margin-right: 4px; }
  .mean { left: 6px; transform: translateY(-135%); background: var(--paper); padding: 1px 3px; }
  .facts { grid-template-columns: 1fr; gap: 2px; }
  .facts dd { margin-bottom: 10px; }
}
"""

SCRIPT = """
for (const box of document.querySelectorAll(".compare")) {
  const range = box.querySelector("input");
  const show = () => box.style.setProperty("--cut", range.value + "%");
  const follow = event => {
    const frame = box.getBoundingClientRect();
    range.value = 100 * (event.clientX - frame.left) / frame.width;
    show();
  };
  range.addEventListener("input", show);
  box.addEventListener("pointerdown", event => { box.setPointerCapture(event.pointerId); follow(event); });
  box.addEventListener("pointermove", event => { if (event.buttons) follow(event); });
  box.addEventListener("click", () => range.focus({ preventScroll: true }));
}
"""
