/*
 * The page for people: is the guard alive, how near are the limits, what was killed. Made on the server from one look, without
 * a script and without anything from elsewhere; its one style sheet is allowed by its hash.
 */
import { createHash } from 'node:crypto';
import { memAvailablePercent, swapFreePercent, userMemTotalKib } from '../decide/limits.js';
import type { Look } from '../observe/look.js';
import { complaints, outcomeOf, percent, signalOf, size, span, sumOf, time } from '../observe/words.js';
import { FAILURES, type LEVELS, NUMBERS } from '../state/layout.js';
import type { Decision, StatePage } from '../state/page-reader.js';
import { Html, html } from './html.js';

const REFRESH_S = 5;

/** From so many times the SIGTERM limit on it is worth a look. */
const NEAR_LIMITS = 2;

const STYLE = `
:root { color-scheme: light dark; --ground: #f6f7f9; --card: #fff; --ink: #1b1f24; --soft: #5b6570; --line: #dde1e6; --track: #e6e9ed;
  --good: #1a7f4b; --near: #b26a00; --bad: #c62f2f; --term: #7c4dff; --kill: #c62f2f; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #14171b; --card: #1d2127; --ink: #e8eaed; --soft: #9aa4af; --line: #2f353d; --track: #333a43;
    --good: #4cc38a; --near: #f0a73a; --bad: #ff6b6b; --term: #b69cff; --kill: #ff6b6b; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.45 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1rem; display: grid; gap: 1rem; grid-template-columns: repeat(2, minmax(0, 1fr)); }
header, section, footer { grid-column: 1 / -1; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1rem 1.2rem; }
section.half { grid-column: span 1; }
h1 { font-size: 1.05rem; margin: 0 0 .6rem; color: var(--soft); font-weight: 600; }
h2 { font-size: .8rem; margin: 0 0 .5rem; color: var(--soft); font-weight: 600; text-transform: uppercase; letter-spacing: .06em; }
p { margin: .3rem 0; }
a { color: inherit; }
small, .soft { color: var(--soft); }
.state { border-left: 6px solid var(--good); background: var(--card); border-radius: 10px; padding: .9rem 1.2rem; }
.state.bad { border-left-color: var(--bad); }
.state.dry { border-left-color: var(--near); }
.state strong { font-size: 1.35rem; display: block; }
.figure { font-size: 1.7rem; font-weight: 650; font-variant-numeric: tabular-nums; }
.figure small { font-size: 1rem; font-weight: 400; }
.good { color: var(--good); } .near { color: var(--near); } .bad { color: var(--bad); }
svg { display: block; width: 100%; height: 22px; margin: .5rem 0 .3rem; }
.track { fill: var(--track); } .fill-good { fill: var(--good); } .fill-near { fill: var(--near); } .fill-bad { fill: var(--bad); }
.mark-term, .mark-kill { fill: var(--term); stroke: var(--card); stroke-width: 2; paint-order: stroke; } .mark-kill { fill: var(--kill); }
.key::before { content: ""; display: inline-block; width: .3rem; height: .9em; margin-right: .4rem; vertical-align: -.1em; border-radius: 1px; }
.key.term::before { background: var(--term); } .key.kill::before { background: var(--kill); }
.key { margin-right: 1.1rem; white-space: nowrap; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: .8rem 1rem; margin: 0; }
dt { color: var(--soft); font-size: .85rem; }
dd { margin: 0; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
ul { margin: 0; padding-left: 1.2rem; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .4rem .8rem .4rem 0; border-top: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 500; font-size: .85rem; border-top: 0; }
td.name { overflow-wrap: anywhere; }
td.name bdi { font-weight: 600; display: block; }
td.when { white-space: nowrap; }
footer { color: var(--soft); font-size: .85rem; padding: 0 .2rem 1rem; overflow-wrap: anywhere; }
@media (max-width: 40rem) {
  main { padding: .7rem; gap: .7rem; grid-template-columns: minmax(0, 1fr); }
  section.half { grid-column: 1 / -1; }
  thead { display: none; }
  tr { display: block; padding: .6rem 0; border-top: 1px solid var(--line); }
  tr:first-child { border-top: 0; padding-top: 0; }
  td { display: grid; grid-template-columns: 6rem 1fr; border: 0; padding: .1rem 0; }
  td::before { content: attr(data-label); color: var(--soft); font-weight: 400; }
}
`;

const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64');

/** What a browser may do with the page: show it, with this very style sheet. */
export const PAGE_POLICY = `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

export function pageFor(look: Look): string {
  const { page } = look;
  const body = html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="${REFRESH_S}">
<title>${look.health.up ? 'up' : 'NOT UP'} – oom-backstop</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<main>
<header>
<h1>oom-backstop</h1>
${stateOf(look)}
</header>
${page === null ? null : wellOf(page)}
${page === null ? null : memoryOf(page)}
${page === null ? null : swapOf(page)}
${pressureOf(look)}
${countersOf(look)}
${page === null ? null : decisionsOf(page, look.unixMs)}
<footer>
<p>As of ${time(look.unixMs)}, once more every ${REFRESH_S} s. For programs: <a href="/metrics">/metrics</a>, <a href="/healthz">/healthz</a>.</p>
<p>State page: ${look.path}</p>
</footer>
</main>
</body>
</html>
`;
  return body.text;
}

function stateOf({ health, page, unixMs }: Look): Html {
  if (!health.up) {
    const last =
      page === null ? null : html`<p class="soft">All below is as of ${time(page.number('heartbeatUnixMs'))}.</p>`;
    return html`<div class="state bad"><strong class="bad">The guard is not up</strong>${health.why}${last}</div>`;
  }
  if (page === null) return html``;
  const dryrun = page.number('dryrun') === 1;
  const doing = page.phase === 'watching' ? 'Up and watching' : `Killing now (${page.phase})`;
  const startedMs = page.number('startedUnixMs');
  const since = startedMs === null ? '' : `, up for ${span(Math.max(0, unixMs - startedMs))}`;
  return html`<div class="state${dryrun ? ' dry' : ''}"><strong>${doing}${dryrun ? ', but a dry run: nobody is killed' : ''}</strong>
<span class="soft">pid ${page.number('pid')}${since} · ${page.persona} ${page.version}</span></div>`;
}

function wellOf(page: StatePage): Html | null {
  const lines = complaints(page);
  if (lines.length === 0) return null;
  return html`<section><h2 class="near">Not as it should be</h2><ul>${lines.map((line) => html`<li>${line}</li>`)}</ul></section>`;
}

type Colour = 'good' | 'near' | 'bad';

function memoryOf(page: StatePage): Html | null {
  const [memAvailableKib, anonPagesKib] = [page.number('memAvailableKib'), page.number('anonPagesKib')];
  if (memAvailableKib === null || anonPagesKib === null) return null;
  const levels = { memAvailableKib, anonPagesKib, swapTotalKib: 0, swapFreeKib: 0 };
  return level('Memory', 'available', memAvailableKib, userMemTotalKib(levels), memAvailablePercent(levels), [
    page.number('memTermPercent'),
    page.number('memKillPercent'),
  ]);
}

function swapOf(page: StatePage): Html | null {
  const [swapTotalKib, swapFreeKib] = [page.number('swapTotalKib'), page.number('swapFreeKib')];
  if (swapTotalKib === null || swapFreeKib === null) return null;
  if (swapTotalKib === 0)
    return html`<section class="half"><h2>Swap</h2><p class="figure soft">none</p><p class="soft">There is no swap: the limits on memory alone count.</p></section>`;
  const free = swapFreePercent({ memAvailableKib: 0, anonPagesKib: 0, swapTotalKib, swapFreeKib });
  return level('Swap', 'free', swapFreeKib, swapTotalKib, free, [
    page.number('swapTermPercent'),
    page.number('swapKillPercent'),
  ]);
}

/** How much is left, with a mark for each limit: the bar gets shorter until it reaches them. */
function level(
  title: string,
  word: string,
  leftKib: number,
  totalKib: number,
  leftPercent: number,
  [term, kill]: readonly [number | null, number | null],
): Html {
  const ignored = (term ?? 0) >= 100 && (kill ?? 0) >= 100;
  const colour = ignored ? 'good' : colourOf(leftPercent, term ?? 0);
  const marks = ignored ? [] : [mark('term', term), mark('kill', kill)].filter((each) => each !== null);
  const key = ignored
    ? html`<span class="soft">not asked about by the limits</span>`
    : html`${legend('term', 'SIGTERM', term, totalKib)}${legend('kill', 'SIGKILL', kill, totalKib)}`;
  const says = `${leftPercent.toFixed(0)} % ${word}`;
  return html`<section class="half"><h2>${title}</h2>
<p class="figure ${ignored ? '' : colour}">${size(leftKib)} <small class="soft">${word} of ${size(totalKib)}, ${percent(leftPercent)}</small></p>
<svg role="img" aria-label="${says}">${bar(leftPercent, colour)}${marks}</svg>
<p><small>${key}</small></p></section>`;
}

function colourOf(leftPercent: number, limitPercent: number): Colour {
  if (leftPercent <= limitPercent) return 'bad';
  return leftPercent <= limitPercent * NEAR_LIMITS ? 'near' : 'good';
}

function bar(shownPercent: number, colour: Colour): Html {
  const width = Math.min(100, Math.max(0, shownPercent)).toFixed(2);
  return html`<rect class="track" y="4" width="100%" height="14" rx="4"/><rect class="fill-${colour}" y="4" width="${width}%" height="14" rx="4"/>`;
}

function mark(name: (typeof LEVELS)[number], atPercent: number | null): Html | null {
  return atPercent === null
    ? null
    : html`<rect class="mark-${name}" x="${atPercent.toFixed(2)}%" width="4" height="22" rx="1"/>`;
}

function legend(name: (typeof LEVELS)[number], word: string, atPercent: number | null, totalKib: number): Html | null {
  if (atPercent === null) return null;
  return html`<span class="key ${name}">${word} at ${percent(atPercent)} (${size((totalKib * atPercent) / 100)})</span> `;
}

/** Where a minute of pressure hurts whoever works on the machine. */
const PRESSED_PERCENT = 10;
const HARD_PRESSED_PERCENT = 40;

function pressureOf({ pressure }: Look): Html {
  if (pressure === null)
    return html`<section class="half"><h2>Memory pressure</h2><p class="soft">This kernel does not tell (no PSI).</p></section>`;
  return html`<section class="half"><h2>Memory pressure, last 10 s</h2>${stall('Some task waits', pressure.someAvg10Percent)}${stall('All wait at once', pressure.fullAvg10Percent)}</section>`;
}

function stall(words: string, value: number | null): Html {
  const colour = (value ?? 0) >= HARD_PRESSED_PERCENT ? 'bad' : (value ?? 0) >= PRESSED_PERCENT ? 'near' : 'good';
  return html`<p>${words}: <b>${percent(value)}</b></p><svg role="img" aria-label="${words}: ${percent(value)}">${bar(value ?? 0, colour)}</svg>`;
}

function countersOf({ page, kernelOomKills }: Look): Html {
  const tile = (name: string, value: string | number, colour = ''): Html =>
    html`<div><dt>${name}</dt><dd class="${colour}">${value}</dd></div>`;
  const kernel =
    kernelOomKills === null
      ? null
      : tile("By the kernel's OOM killer", kernelOomKills, kernelOomKills > 0 ? 'bad' : '');
  if (page === null) return html`<section class="half"><h2>Since boot</h2><dl>${kernel}</dl></section>`;
  const kills = sumOf(
    page,
    NUMBERS.filter((name) => name.startsWith('killsTotal:')),
  );
  const failures = sumOf(
    page,
    FAILURES.map((each) => `failuresTotal:${each}`),
  );
  return html`<section class="half"><h2>Counted so far</h2><dl>
${tile('Killed', kills)}
${tile('Memory given back', size(page.number('freedKibTotal')))}
${kernel}
${tile('Kills that failed', failures, failures > 0 ? 'near' : '')}
${tile('Dry runs', page.number('dryrunKillsTotal') ?? 0)}
${tile('Starts of the guard', page.number('startsTotal') ?? 0)}
</dl></section>`;
}

function decisionsOf(page: StatePage, unixMs: number): Html {
  const rows = page.decisions.map((each) => decision(each, unixMs));
  if (rows.length === 0) return html`<section><h2>Last kills</h2><p class="soft">None so far.</p></section>`;
  return html`<section><h2>Last kills</h2><table>
<thead><tr><th>When</th><th>Victim</th><th>Signal</th><th>Why</th><th>Result</th></tr></thead>
<tbody>${rows}</tbody></table></section>`;
}

function decision(each: Decision, nowMs: number): Html {
  const ago = `${span(Math.max(0, nowMs - each.unixMs))} ago`;
  const uid = each.uid === null ? '' : `, uid ${each.uid}`;
  return html`<tr><td class="when" data-label="When"><span title="${time(each.unixMs)}">${ago}</span></td>
<td class="name" data-label="Victim"><span><bdi>${each.comm}</bdi><small>pid ${each.pid}${uid}, ${size(each.rssKib)}</small></span></td>
<td data-label="Signal">${signalOf(each)}</td>
<td data-label="Why">${each.rule === null ? 'limit' : html`<span>rule <bdi>${each.rule}</bdi></span>`}</td>
<td data-label="Result">${outcomeOf(each)}</td></tr>
`;
}
