/** Styles are vite's to read. */
declare module "*.css";
