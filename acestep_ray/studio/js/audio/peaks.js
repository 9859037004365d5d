// The outline of a sound, for drawing.

/** Points of an outline: enough for a screen's width of bars, also of a long song. */
const POINTS = 1600;

/** The loudest sample of each part of an AudioBuffer, 0 to 1, scaled so that the song's peak is 1. */
export function peaksOf(buffer, points = POINTS) {
  const peaks = new Float32Array(Math.min(points, buffer.length));
  const size = buffer.length / peaks.length;
  for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
    const samples = buffer.getChannelData(channel);
    for (let at = 0; at < peaks.length; at++) {
      const end = Math.floor((at + 1) * size);
      let most = peaks[at];
      for (let i = Math.floor(at * size); i < end; i++) {
        const level = Math.abs(samples[i]);
        if (level > most) most = level;
      }
      peaks[at] = most;
    }
  }
  const peak = peaks.reduce((most, one) => Math.max(most, one), 0);
  return peak > 0 ? peaks.map((one) => one / peak) : peaks;
}

/** The outline in this many bars: the loudest point of each. */
export function bars(peaks, count) {
  const size = peaks.length / count;
  return Array.from({ length: count }, (_, at) => {
    let most = 0;
    const end = Math.max(Math.floor((at + 1) * size), Math.floor(at * size) + 1);
    for (let i = Math.floor(at * size); i < end && i < peaks.length; i++)
      most = Math.max(most, peaks[i]);
    return most;
  });
}
