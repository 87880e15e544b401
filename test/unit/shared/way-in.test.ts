import { expect, it } from 'vitest';
import { cString } from '../../../native-shims/libc.js';
import { PosixRegex } from '../../../native-shims/regex.js';
import { WAY_IN_REGEX } from '../../../src/shared/way-in.js';

const wayIn = PosixRegex.compile(WAY_IN_REGEX);

// As comm shows them: at most 15 bytes.
it.each([
  'systemd',
  '(sd-pam)',
  'systemd-journal',
  'systemd-logind',
  'systemd-udevd',
  'dbus-daemon',
  'dbus-broker-lau',
  'sshd',
  'sshd-session',
  'login',
  'agetty',
  'sudo',
  'su',
  'tmux: server',
  'screen',
  'SCREEN',
  'Xorg',
  'gnome-shell',
  'kwin_wayland',
  'dockerd',
  'containerd',
  'containerd-shim',
  'kubelet',
  'conmon',
  'NetworkManager',
])('%s is part of the way in', (name) => {
  expect(wayIn?.matches(cString(name))).toBe(true);
});

it.each([
  'bash',
  'node',
  'python3',
  'my-systemd',
  'sshd_hog',
  'chrome',
  'initdb',
  'stress',
  'sudoku',
  'xscreensaver',
  'gdb',
])('%s is not', (name) => {
  expect(wayIn?.matches(cString(name))).toBe(false);
});
