/* Output of commands that holds what strangers chose (names, arguments): nothing of it may steer a terminal. */

/** JSON without raw control characters: JSON.stringify leaves DEL and the C1 controls as they are. */
export function safeJson(value: unknown): string {
  return JSON.stringify(value, null, 2).replace(/[\x7f-\x9f]/g, asEscape);
}

/** Our own text with a stranger's in it: every control character as \u00NN, a newline in a name too. */
export function safeText(text: string): string {
  return text.replace(/\p{Cc}/gu, asEscape);
}

function asEscape(control: string): string {
  return `\\u00${control.charCodeAt(0).toString(16).padStart(2, '0')}`;
}
