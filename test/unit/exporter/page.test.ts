/* The page for people: that nothing in it is markup but its own, and that it says what matters. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { escapeHtml, html } from '../../../src/exporter/html.js';
import { PAGE_POLICY, pageFor } from '../../../src/exporter/page.js';
import { OUTCOMES } from '../../../src/state/layout.js';
import { madeLook, staleLook } from './made-look.js';

const HOSTILE = '<script>"\'&';

/** What a reader sees: without tags and style. */
function textOf(page: string): string {
  return page
    .replace(/<style>.*<\/style>/s, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ');
}

describe('html', () => {
  it('escapes what it is given, but for HTML and lists of it', () => {
    const items = ['<', '&'].map((each) => html`<li>${each}</li>`);
    expect(html`<a title="${HOSTILE}">${HOSTILE}</a>${items}${null}${5}`.text).toBe(
      '<a title="&lt;script&gt;&quot;&#39;&amp;">&lt;script&gt;&quot;&#39;&amp;</a><li>&lt;</li><li>&amp;</li>5',
    );
  });

  it('shows control characters as such', () => {
    expect(escapeHtml('a\0b\x1b[2J\n\x9b')).toBe('a\ufffdb\ufffd[2J\ufffd\ufffd');
  });
});

describe('the page', () => {
  it('holds nothing that a process or a guard has made markup of', () => {
    const decisions = [{ comm: '<script>"x"', rule: '</td><img src=x onerror=alert(1)>' }];
    const page = pageFor(madeLook({ decisions, version: '<b>&' }, { path: '/<i>/state' }));
    expect(page).not.toMatch(/<script|<img|<b>&|<i>/);
    expect(page).toContain('&lt;script&gt;&quot;x&quot;');
    expect(page).toContain('&lt;/td&gt;&lt;img src=x onerror=alert(1)&gt;');
    expect(page).toContain('&lt;b&gt;&amp;');
    expect(page).toContain('/&lt;i&gt;/state');
  });

  it('has a policy that lets its own style sheet in, by its hash, and no inline style', () => {
    const page = pageFor(madeLook());
    const style = /<style>(.*)<\/style>/s.exec(page)?.[1] ?? '';
    expect(PAGE_POLICY).toContain(`'sha256-${createHash('sha256').update(style).digest('base64')}'`);
    expect(PAGE_POLICY).toMatch(/^default-src 'none';/);
    expect(page).not.toMatch(/ style=| on\w+=|<script|<link|src=/);
  });

  it('is for phones and dark rooms, and renews itself', () => {
    const page = pageFor(madeLook());
    for (const part of ['name="viewport"', 'prefers-color-scheme: dark', 'http-equiv="refresh"', '@media (max-width'])
      expect(page).toContain(part);
  });

  it('says how things stand', () => {
    const text = textOf(pageFor(madeLook()));
    for (const part of [
      'Up and watching',
      'pid 812, up for 60 min · oom-backstop 0.1.0',
      '12.0 GiB available of 20.0 GiB, 60.00 %',
      'SIGTERM at 5.00 % (1024 MiB)',
      '3072 MiB free of 4.0 GiB, 75.00 %',
      'Some task waits: 12.50 %',
      "By the kernel's OOM killer 3".replace("'", '&#39;'),
      'hog pid 4712, uid 1001, 1024 MiB',
      'rule thrashing',
    ])
      expect(text).toContain(part);
  });

  it.each([
    ['no swap', madeLook({ numbers: { swapTotalKib: 0, swapFreeKib: 0 } }), 'There is no swap'],
    [
      'swap that does not matter',
      madeLook({ numbers: { swapTermPercent: 100, swapKillPercent: 100 } }),
      'not asked about by the limits',
    ],
    ['no PSI', madeLook({}, { pressure: null }), 'This kernel does not tell (no PSI)'],
    ['a dry run', madeLook({ numbers: { dryrun: 1 } }), 'but a dry run: nobody is killed'],
    ['a kill under way', madeLook({ numbers: { phase: 2 } }), 'Killing now (terminating)'],
    ['no kill so far', madeLook({ decisions: [] }), 'None so far.'],
    [
      'what is not well',
      madeLook({ numbers: { droppedLogLinesTotal: 3 } }),
      'Not as it should be 3 log lines: nobody read',
    ],
    [
      'a victim that would not die',
      madeLook({ decisions: [{ outcome: OUTCOMES.indexOf('outlived SIGKILL') }] }),
      'outlived SIGKILL',
    ],
    ['a guard that is stopped', staleLook(), 'The guard is not up heartbeat is 60.0 s old'],
    ['no guard', madeLook(null), 'The guard is not up the state page /run/oom-backstop/state is not there'],
  ])('says of %s', (_, look, words) => {
    expect(textOf(pageFor(look))).toContain(words);
  });

  it('has a title that tells from afar', () => {
    expect(pageFor(madeLook())).toContain('<title>up – oom-backstop</title>');
    expect(pageFor(staleLook())).toContain('<title>NOT UP – oom-backstop</title>');
  });

  it.each([
    [4.9, 'bad'],
    [9.9, 'near'],
    [10.1, 'good'],
  ])('at %d %% available, with a limit of 5 %%, is %s', (percent, colour) => {
    const numbers = { memAvailableKib: percent * 1000, anonPagesKib: 100_000 - percent * 1000 };
    expect(pageFor(madeLook({ numbers }))).toContain(`class="figure ${colour}"`);
  });
});
