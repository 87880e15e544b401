/*
 * HTML from templates in which everything is escaped that is put in, unless it is HTML already: what a process calls itself is
 * in the page, and it may call itself <script>.
 */

/** HTML that is as it should be. */
export class Html {
  constructor(readonly text: string) {}
}

type Content = string | number | null | Html | readonly Html[];

export function html(parts: TemplateStringsArray, ...contents: readonly Content[]): Html {
  return new Html(
    parts.map((part, index) => (index === 0 ? part : textOf(contents[index - 1] ?? null) + part)).join(''),
  );
}

function textOf(content: Content): string {
  if (content === null) return '';
  if (content instanceof Html) return content.text;
  if (typeof content === 'object') return content.map(({ text }) => text).join('');
  return escapeHtml(String(content));
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** For text and for quoted attributes. Control characters show as U+FFFD: some are no characters of HTML at all. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] as string).replace(/\p{Cc}/gu, '\ufffd');
}
