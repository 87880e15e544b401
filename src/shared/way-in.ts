/*
 * Whom the admin needs to come in and repair things, and whose end takes a whole session or all containers with it. The own
 * persona never kills them by default; --no-way-in lifts that.
 *
 * They are known by their names (comm, at most 15 bytes), which any process may give itself: a hog that calls itself sshd
 * is spared as well. Who does not want that uses OOMScoreAdjust= in the units instead, which only root can set.
 */
const WAY_IN: readonly string[] = [
  // The system's manager and its services: journald, logind, udevd, networkd, resolved ...; the users' managers too.
  'systemd(-.*)?',
  '\\(sd-pam\\)',
  'init',
  'dbus-daemon',
  'dbus-broker.*',
  'polkitd',
  'rsyslogd',
  'cron(d|ie)?',
  // Logins.
  'sshd(-.*)?',
  'dropbear',
  'mosh-server',
  'login',
  'a?getty',
  'su(do)?',
  'sssd.*',
  'winbindd',
  // Without the network nobody comes in.
  'NetworkManager',
  'wpa_supplicant',
  'iwd',
  'dhc(lient|pcd)',
  'tailscaled',
  // What runs in them would go with them.
  'tmux.*',
  'screen|SCREEN',
  'zellij',
  'Xorg|Xwayland',
  'gnome-shell',
  'kwin_.*',
  'sway|Hyprland|weston',
  'gdm.*|sddm.*|lightdm',
  // Containers.
  'dockerd',
  'containerd.*',
  'podman|conmon',
  'crio',
  'kubelet',
  'libvirtd|virtqemud',
];

/** They all as one POSIX extended regular expression. */
export const WAY_IN_REGEX = `^(${WAY_IN.join('|')})$`;
