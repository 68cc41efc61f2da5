/** How a protocol calls what a survey speaks of. */
export interface SurveyWords {
  /** A volume behind a target, such as `LUN`. */
  readonly unit: string
  /** Several targets, such as `targets`. */
  readonly targets: string
  /** Option that names the one target to use, such as `target`. */
  readonly targetOption: string
  /** Who units are mapped to, such as `initiator`. */
  readonly host: string
}
