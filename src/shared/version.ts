/* The program's own version (package.json's, put in by the build) and the earlyoom whose contract it keeps. */
declare const PACKAGE_VERSION: string | undefined;

/** Without a build, as in unit tests, there is none. */
export const VERSION: string = typeof PACKAGE_VERSION === 'string' ? PACKAGE_VERSION : 'unbuilt';
export const EARLYOOM_VERSION = '1.9';
